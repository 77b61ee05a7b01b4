export interface ChatMessage {
  readonly role: 'system' | 'user'
  readonly content: string
}

/** What is asked, and how it is asked in fewer words where it is more than the model takes. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[]
  /** @param share of the whole length, 0 to 1 @returns undefined where so little would be no question any more */
  shortened(share: number): readonly ChatMessage[] | undefined
}

export interface ChatRequest extends ChatPrompt {
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
  /** And that way is a shorter prompt */
  readonly tooLong: boolean
  /** Tokens that it cost all the same */
  readonly spent: { readonly tokensIn: number; readonly tokensOut: number } | undefined
  constructor(
    of: Pick<LlmCallFailed, 'kind' | 'code' | 'retryable'> &
      Partial<Pick<LlmCallFailed, 'retryAfterMs' | 'adapted' | 'tooLong' | 'spent'>>,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.kind = of.kind
    this.code = of.code
    this.retryable = of.retryable
    this.retryAfterMs = of.retryAfterMs
    this.adapted = of.adapted ?? false
    this.tooLong = of.tooLong ?? false
    this.spent = of.spent
  }
}
