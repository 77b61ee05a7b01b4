import { expect, it } from 'vitest'
import { chatAddress } from './chat-client.ts'
import { Dialect } from './dialect.ts'

it.each([
  ['http://127.0.0.1:11434', 'http://127.0.0.1:11434/v1/chat/completions'],
  ['http://127.0.0.1:11434/', 'http://127.0.0.1:11434/v1/chat/completions'],
  ['http://127.0.0.1:11434/v1', 'http://127.0.0.1:11434/v1/chat/completions'],
  ['https://api.example.org/v1//', 'https://api.example.org/v1/chat/completions'],
  ['https://example.org/openai/v2', 'https://example.org/openai/v2/chat/completions'],
  ['https://example.org/v1/chat/completions', 'https://example.org/v1/chat/completions'],
  ['https://example.org/chat/completions/', 'https://example.org/chat/completions/'],
  ['https://x.example.org/d/m?api-version=1', 'https://x.example.org/d/m/chat/completions?api-version=1'],
])('asks a server at its base address: %s', (endpoint, address) => {
  expect(chatAddress(endpoint).href).toBe(address)
})

const request = { schema: {}, maxTokens: 9 }

it.each([
  ['{"error":{"message":"Unsupported value: \'temperature\'","param":"temperature"}}', 'temperature'],
  ['{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}', 'seed'],
  [
    '{"error":{"message":"Invalid schema for response_format \'labels\'","param":"response_format"}}',
    'response_format',
  ],
  ['json_schema is not supported', 'response_format'],
  ['{"error":{"param":"max_tokens","message":"Use \'max_completion_tokens\' instead."}}', 'max_tokens'],
  ['{"error":{"param":"messages[0].content","message":"max_tokens"}}', undefined],
  ["This model's maximum context length is 2048 tokens, max_tokens is 400", undefined],
])('learns from a refusal which parameter the next request leaves out: %s', (body, parameter) => {
  const dialect = new Dialect()
  const sent = dialect.parametersOf(request)
  expect(dialect.learn(sent, 400, body)).toBe(parameter)
  const after = dialect.parametersOf(request)
  if (parameter === undefined) expect(after).toEqual(sent)
  else expect(Object.keys(after)).not.toContain(parameter)
  // A server that refuses what it was not sent is asked no more.
  expect(dialect.learn(after, 400, body)).toBeUndefined()
})

it('learns nothing from other errors', () => {
  const dialect = new Dialect()
  expect(dialect.learn(dialect.parametersOf(request), 500, 'temperature')).toBeUndefined()
})
