import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'

/* Ways in which a server that speaks the protocol of OpenAI misbehaves. */

/** What a call is to count as: an answer that can be read, or one of the three errors of the record. */
export type Outcome = 'answer' | 'failure' | 'timeout' | 'unreadable'

type Behaviour = (response: ServerResponse, request: IncomingMessage, asked: Asked) => void

interface Asked {
  readonly body: string
}

const completion = (content: string, usage: object | undefined = { prompt_tokens: 100, completion_tokens: 10 }) =>
  JSON.stringify({
    id: 'x',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content } }],
    usage,
  })
const message = (of: object, more: object = {}) =>
  JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', ...of }, ...more }], usage })
const usage = { prompt_tokens: 100, completion_tokens: 10 }
/** As OpenAI says that a parameter is not for a model */
const doesNotTake = (param: string) =>
  `{"error":{"message":"Unsupported parameter: '${param}' is not supported with this model.","param":"${param}","code":"unsupported_parameter"}}`
/** As vLLM says that a prompt is longer than what the model takes */
const doesNotFit = `{"object":"error","message":"This model's maximum context length is 512 tokens. However, you requested 2048 tokens","type":"BadRequestError"}`
/** Characters of a call, with its schema */
const SHORT = 3_000
const json = (response: ServerResponse, body: string, status = 200, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
const says =
  (content: string): Behaviour =>
  (response) =>
    void json(response, completion(content))
const fails =
  (status: number, headers = {}): Behaviour =>
  (response) =>
    void json(response, '{"error":{"message":"no","code":"overloaded"}}', status, headers)

const labels = ['sailing', 'boats']
const good = JSON.stringify({ tags: labels })

const tooMuch = completion('x'.repeat(1_500_000))
const packed = gzipSync(Buffer.alloc(8_000_000, ' '))

/** Every way, with what one call of it counts as. */
export const misbehaviours = {
  good: ['answer', says(good)],
  'never answers': ['timeout', () => {}],
  'answers a byte a second': ['timeout', (response) => void trickle(response, completion(good), 1000)],
  'sends headers and stops': [
    'timeout',
    (response) => void response.writeHead(200, { 'content-length': '500' }).flushHeaders(),
  ],
  'closes the connection': ['failure', (_, request) => void request.socket.destroy()],
  'closes midway': [
    'failure',
    (response, request) => {
      response.writeHead(200, { 'content-length': '5000' })
      response.write('{"choices": [', () => request.socket.destroy())
    },
  ],
  'error 500': ['failure', fails(500)],
  'error 503 with Retry-After': ['failure', fails(503, { 'retry-after': '0' })],
  'error 429 with Retry-After': ['failure', fails(429, { 'retry-after': '0' })],
  'error 429 for a second': ['failure', fails(429, { 'retry-after': '1' })],
  'error 429 for an hour': ['failure', fails(429, { 'retry-after': '3600' })],
  'error 401': ['failure', fails(401)],
  'redirects in circles': [
    'failure',
    (response) => void response.writeHead(302, { location: '/v1/chat/completions' }).end(),
  ],
  'answers HTML': [
    'failure',
    (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html><h1>Welcome</h1></html>'),
  ],
  'answers another JSON': ['failure', (response) => void json(response, '{"choices": "none"}')],
  'answers megabytes': ['failure', (response) => void json(response, tooMuch)],
  'not HTTP at all': ['failure', (_, request) => void request.socket.end('hello\r\n\r\n')],
  'truncated JSON': ['answer', says('{"tags": ["sailing", "boats", "har')],
  'JSON in prose': ['answer', says(`Sure! Here are the tags:\n\n\`\`\`json\n${good}\n\`\`\`\nHope this helps.`)],
  'answers megabytes in kilobytes': [
    'failure',
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(packed)
    },
  ],
  'a bare list': ['answer', says('["sailing", "boats"]')],
  'names an encoding that it does not send': [
    'failure',
    (response) => void json(response, completion(good), 200, { 'content-encoding': 'gzip' }),
  ],
  'no usage counted': ['answer', (response) => void json(response, completion(good, { prompt_tokens: 'many' }))],
  'an answer nested without end': ['failure', (response) => void json(response, '{"choices":['.repeat(80_000))],
  'counts more tokens than there are': [
    'answer',
    (response) => void json(response, completion(good, { prompt_tokens: 9e15, completion_tokens: 9e15 })),
  ],
  'a header without end': [
    'failure',
    (_, request) => void request.socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}`),
  ],
  'a label of half a megabyte': ['unreadable', says(JSON.stringify({ tags: [`a${' '.repeat(500_000)}b`] }))],
  'wrong types': ['unreadable', says('{"tags": [1, null, {"a": 2}]}')],
  '10,000 tags': ['unreadable', says(JSON.stringify({ tags: Array.from({ length: 10_000 }, (_, k) => `tag ${k}`) }))],
  'an empty answer': ['unreadable', says('')],
  'an empty list': ['unreadable', says('{"tags": []}')],
  'prose alone': ['unreadable', says('I cannot help with that.')],
  'sentences as tags': [
    'unreadable',
    says(JSON.stringify({ tags: ['This group of pages is mostly about many different things'] })),
  ],
  'invalid UTF-8': [
    'unreadable',
    (response) => {
      const [head, tail] = completion('{\\"tags\\": [\\"@@\\"]}'.replaceAll('\\"', '"')).split('@@')
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(Buffer.concat([Buffer.from(head!), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from(tail!)]))
    },
  ],
  'refuses, as models do': [
    'unreadable',
    (response) => void json(response, message({ content: null, refusal: "I can't help with that." })),
  ],
  'calls a tool': [
    'unreadable',
    (response) => void json(response, message({ content: null, tool_calls: [{ id: '1' }] })),
  ],
  'thinks until its tokens are used up': [
    'unreadable',
    (response) => void json(response, message({ content: '<think>Let me see' }, { finish_reason: 'length' })),
  ],
  'thinks first': ['answer', says(`<think>{"tags": ["x"]}?</think>\n${good}`)],
  'no content': ['failure', (response) => void response.writeHead(204).end()],
  'answers in parts': [
    'answer',
    (response) => void json(response, message({ content: [{ type: 'text', text: good }] })),
  ],
  'an answer without choices': ['failure', (response) => void json(response, JSON.stringify({ choices: [], usage }))],
  'obeys a text in a page': ['answer', says('{"tags": ["HACKED BY PAGE", "buy cheap watches"]}')],
  'takes other parameters': [
    ({ body }) => (/"(?:max_tokens|temperature|seed)"/.test(body) ? 'failure' : 'answer'),
    (response, _, { body }) => {
      const refused = /"(max_tokens|temperature|seed)"/.exec(body)?.[1]
      if (refused) json(response, doesNotTake(refused), 400)
      else json(response, completion(good))
    },
  ],
  'takes short prompts only': [
    ({ body }) => (body.length > SHORT ? 'failure' : 'answer'),
    (response, _, { body }) => {
      if (body.length > SHORT) json(response, doesNotFit, 400)
      else json(response, completion(good))
    },
  ],
  'refuses structured output': [
    ({ body }) => (body.includes('response_format') ? 'failure' : 'answer'),
    (response, _, { body }) => {
      if (body.includes('response_format'))
        json(response, '{"error":{"message":"response_format is not supported"}}', 400)
      else json(response, completion(good))
    },
  ],
} as const satisfies Record<string, readonly [Outcome | ((asked: Asked) => Outcome), Behaviour]>
export type Misbehaving = readonly [Outcome | ((asked: Asked) => Outcome), Behaviour]
export type Misbehaviour = keyof typeof misbehaviours

function trickle(response: ServerResponse, body: string, everyMs: number): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  let at = 0
  const timer = setInterval(() => {
    if (at >= body.length || response.destroyed) {
      clearInterval(timer)
      response.end()
    } else response.write(body[at++])
  }, everyMs)
  response.once('close', () => clearInterval(timer))
}
