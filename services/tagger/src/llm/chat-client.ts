/*
 * One call of an OpenAI-compatible chat completion. It ends within its timeout whatever the server does (never answers, a byte a second,
 * closes midway), reads a bounded number of bytes, follows no redirect, and knows two outcomes: an answer, or an LlmCallFailed.
 */

import { type ChatAnswer, type ChatModel, type ChatRequest, LlmCallFailed } from './chat-model.ts'
import { readCompletion } from './completion.ts'
import { Dialect, saysTooLong } from './dialect.ts'

export function serverChat(server: ChatServer): ChatModel {
  const dialect = new Dialect()
  const url = chatAddress(server.endpoint)
  return {
    identity: [server.endpoint, server.model],
    free: false,
    timeoutMs: server.timeoutMs,
    chat: (request, signal) => chat(server, url, dialect, request, signal),
  }
}

/**
 * Where chats are asked for: under the base address, as most servers' documents give it (`…/v1`), at `/v1` where it is a host alone, and at
 * the address itself where it is the whole one. A query stays (`?api-version=…`).
 */
export function chatAddress(endpoint: string): URL {
  const url = new URL(endpoint)
  const path = url.pathname.replace(/\/+$/, '')
  if (!path.endsWith('/chat/completions')) url.pathname = `${path || '/v1'}/chat/completions`
  return url
}

export interface ChatServer {
  /** Base address, e.g. http://127.0.0.1:11434/v1 */
  readonly endpoint: string
  readonly model: string
  readonly apiKey: string
  readonly timeoutMs: number
}

/** Bytes of an answer: 1,000 labels take a tenth of it. */
const MOST_BYTES = 1 << 20

/** @param signal the work is no longer wanted: throws its reason @throws LlmCallFailed */
async function chat(
  server: ChatServer,
  url: URL,
  dialect: Dialect,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  const parameters = dialect.parametersOf(request)
  const timeout = AbortSignal.timeout(server.timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(server.apiKey ? { authorization: `Bearer ${server.apiKey}` } : {}),
      },
      body: JSON.stringify({ model: server.model, messages: request.messages, ...parameters, stream: false }),
      redirect: 'error',
      signal: AbortSignal.any([timeout, signal]),
    })
    const text = await readBounded(response)
    if (!response.ok) throw refused(response, text, dialect.learn(parameters, response.status, text), url)
    return readCompletion(text, request)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error instanceof LlmCallFailed) throw error
    if (timeout.aborted) {
      throw new LlmCallFailed(
        { kind: 'timeout', code: 'timeout', retryable: true },
        `no answer within ${server.timeoutMs} ms`,
      )
    }
    const cause = (error as Error).cause as { code?: string; message?: string } | undefined
    const reason = cause?.message ?? (error as Error).message
    throw new LlmCallFailed({ kind: 'failure', code: cause?.code ?? 'connection', retryable: true }, reason, {
      cause: error,
    })
  }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MOST_BYTES) {
      throw new LlmCallFailed(
        { kind: 'failure', code: 'too_large', retryable: false },
        `the answer has more than ${MOST_BYTES} bytes`,
      )
    }
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

/** What a server says may repeat what it was sent, so that only its status, a code word and a parameter's name go on. */
function refused(response: Response, text: string, parameter: string | undefined, { pathname }: URL): LlmCallFailed {
  const { status } = response
  if (parameter) {
    const of = { kind: 'failure', code: 'parameter_refused', retryable: true, adapted: true } as const
    return new LlmCallFailed(of, `HTTP ${status}: the server does not take ${parameter}, asking without`)
  }
  if ((status === 400 || status === 413 || status === 422) && saysTooLong(text)) {
    const of = { kind: 'failure', code: 'prompt_too_long', retryable: true, adapted: true, tooLong: true } as const
    return new LlmCallFailed(of, `HTTP ${status}: the prompt is longer than the model takes, asking with half of it`)
  }
  const retryable = status === 408 || status === 409 || status === 425 || status === 429 || status >= 500
  const retryAfterMs = retryAfter(response.headers.get('retry-after'), Date.now())
  const word = /"(?:code|type)"\s*:\s*"([\w.-]{1,60})"/.exec(text)?.[1]
  const hint =
    status === 404 ? ` at ${pathname}: is LLM_ENDPOINT the base address, and LLM_MODEL a model that it has?` : ''
  return new LlmCallFailed(
    { kind: 'failure', code: `http_${status}`, retryable, retryAfterMs },
    `HTTP ${status}${word ? ` (${word})` : ''}${hint}`,
  )
}

/** Seconds or a date (RFC 9110, section 10.2.3), as ms from now; undefined when it is neither. */
export function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
