/*
 * One call of an OpenAI-compatible chat completion. It ends within its timeout whatever the server does (never answers, a byte a second,
 * closes midway), reads a bounded number of bytes, follows no redirect, and knows two outcomes: an answer, or an LlmCallFailed.
 */

export interface ChatMessage {
  readonly role: 'system' | 'user'
  readonly content: string
}

interface ChatRequest {
  readonly messages: readonly ChatMessage[]
  /** JSON schema of the answer, sent as response_format; left out for servers that refuse it */
  readonly schema: object | undefined
  readonly maxTokens: number
}

export interface ChatAnswer {
  readonly content: string
  readonly tokensIn: number
  readonly tokensOut: number
}

/** Something that answers chats: a server, or a model in this process. */
export interface ChatModel {
  /** What decides its answers: a reply is taken again only for the same */
  readonly identity: readonly string[]
  /** A call ends within this time */
  readonly timeoutMs: number
  /** Waits until a call may begin, where not any number may run at once. @returns what ends the turn */
  turn?(signal: AbortSignal): Promise<() => void>
  /** @throws LlmCallFailed, or the signal's reason */
  chat(request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer>
}

export const serverChat = (server: ChatServer): ChatModel => ({
  identity: [server.endpoint, server.model],
  timeoutMs: server.timeoutMs,
  chat: (request, signal) => chat(server, request, signal),
})

export interface ChatServer {
  /** Base address, e.g. http://127.0.0.1:11434/v1 */
  readonly endpoint: string
  readonly model: string
  readonly apiKey: string
  readonly timeoutMs: number
}

/** The call gave no answer. Another try may help where `retryable`. */
export class LlmCallFailed extends Error {
  override readonly name = 'LlmCallFailed'
  readonly kind: 'timeout' | 'failure'
  readonly code: string
  readonly retryable: boolean
  /** What the server asked to wait, ms */
  readonly retryAfterMs: number | undefined
  constructor(
    of: { kind: 'timeout' | 'failure'; code: string; retryable: boolean; retryAfterMs?: number | undefined },
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.kind = of.kind
    this.code = of.code
    this.retryable = of.retryable
    this.retryAfterMs = of.retryAfterMs
  }
}

/** Bytes of an answer: 1,000 labels take a tenth of it. */
const MOST_BYTES = 1 << 20

/** @param signal the work is no longer wanted: throws its reason @throws LlmCallFailed */
async function chat(server: ChatServer, request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
  const timeout = AbortSignal.timeout(server.timeoutMs)
  try {
    const response = await fetch(`${server.endpoint.replace(/\/+$/, '')}/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(server.apiKey ? { authorization: `Bearer ${server.apiKey}` } : {}),
      },
      body: JSON.stringify(bodyOf(server, request)),
      redirect: 'error',
      signal: AbortSignal.any([timeout, signal]),
    })
    const text = await readBounded(response)
    if (!response.ok) throw refused(response, text)
    return answerOf(text, request)
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

function bodyOf(server: ChatServer, request: ChatRequest): object {
  const format = { type: 'json_schema', json_schema: { name: 'labels', strict: true, schema: request.schema } }
  return {
    model: server.model,
    messages: request.messages,
    temperature: 0,
    seed: 42,
    max_tokens: request.maxTokens,
    stream: false,
    ...(request.schema ? { response_format: format } : {}),
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

/** What a server says may repeat what it was sent, so that only its status and a code word go on. */
function refused(response: Response, text: string): LlmCallFailed {
  const { status } = response
  const aboutSchema = (status === 400 || status === 422) && /response_format|json_schema|schema/i.test(text)
  const retryable = aboutSchema || status === 408 || status === 409 || status === 425 || status === 429 || status >= 500
  const retryAfterMs = retryAfter(response.headers.get('retry-after'), Date.now())
  const word = /"(?:code|type)"\s*:\s*"([\w.-]{1,60})"/.exec(text)?.[1]
  const code = aboutSchema ? SCHEMA_REFUSED : `http_${status}`
  return new LlmCallFailed(
    { kind: 'failure', code, retryable, retryAfterMs },
    `HTTP ${status}${word ? ` (${word})` : ''}`,
  )
}

/** Code of a refusal of structured output: the same question without a schema may be answered. */
export const SCHEMA_REFUSED = 'schema_refused'

/** Seconds or a date (RFC 9110, section 10.2.3), as ms from now; undefined when it is neither. */
export function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** The content of the first choice. Tokens that the server doesn't count are estimated: four characters each. */
function answerOf(text: string, request: ChatRequest): ChatAnswer {
  const malformed = (what: string) =>
    new LlmCallFailed(
      { kind: 'failure', code: 'not_a_completion', retryable: true },
      `${what} (${text.length} characters)`,
    )
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    throw malformed('the answer is no JSON')
  }
  const { choices, usage } = (read ?? {}) as {
    choices?: { message?: { content?: unknown } }[]
    usage?: { prompt_tokens?: unknown; completion_tokens?: unknown }
  }
  const content = Array.isArray(choices) ? choices[0]?.message?.content : undefined
  if (typeof content !== 'string') throw malformed('the answer has no choices[0].message.content')
  const sent = request.messages.reduce((sum, message) => sum + message.content.length, 0)
  return {
    content,
    tokensIn: countOf(usage?.prompt_tokens) ?? Math.ceil(sent / 4),
    tokensOut: countOf(usage?.completion_tokens) ?? Math.ceil(content.length / 4),
  }
}

const countOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
