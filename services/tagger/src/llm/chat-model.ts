export interface ChatMessage {
  readonly role: 'system' | 'user'
  readonly content: string
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[]
  /** JSON schema of the answer, sent as response_format to servers that take one */
  readonly schema: object
  readonly maxTokens: number
}

export interface ChatAnswer {
  readonly content: string
  readonly tokensIn: number
  readonly tokensOut: number
  /** It has as many tokens as it may have, and may lack its end */
  readonly cutOff: boolean
}

/** Something that answers chats: a server, or a model in this process. */
export interface ChatModel {
  /** What decides its answers: a reply is taken again only for the same */
  readonly identity: readonly string[]
  /** Its tokens cost nothing, whatever the table of prices says */
  readonly free: boolean
  /** A call ends within this time */
  readonly timeoutMs: number
  /** Waits until a call may begin, where not any number may run at once. @returns what ends the turn */
  turn?(signal: AbortSignal): Promise<() => void>
  /** @throws LlmCallFailed, or the signal's reason */
  chat(request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer>
}

/** The call gave no answer. Another try may help where `retryable`. */
export class LlmCallFailed extends Error {
  override readonly name = 'LlmCallFailed'
  readonly kind: 'timeout' | 'failure'
  readonly code: string
  readonly retryable: boolean
  /** What the server asked to wait, ms */
  readonly retryAfterMs: number | undefined
  /** The server is fine and asks for another way of asking, which the next call takes */
  readonly adapted: boolean
  /** Tokens that it cost all the same */
  readonly spent: { readonly tokensIn: number; readonly tokensOut: number } | undefined
  constructor(
    of: Pick<LlmCallFailed, 'kind' | 'code' | 'retryable'> &
      Partial<Pick<LlmCallFailed, 'retryAfterMs' | 'adapted' | 'spent'>>,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.kind = of.kind
    this.code = of.code
    this.retryable = of.retryable
    this.retryAfterMs = of.retryAfterMs
    this.adapted = of.adapted ?? false
    this.spent = of.spent
  }
}
