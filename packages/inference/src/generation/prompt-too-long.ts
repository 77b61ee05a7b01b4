/** A prompt leaves no room for its answer: asked shorter, the model answers. */
export class PromptTooLong extends Error {
  override readonly name = 'PromptTooLong'
  readonly code = 'prompt_too_long'
  readonly promptTokens: number
  /** Most tokens that the prompt may have */
  readonly mostTokens: number

  constructor({ promptTokens, mostTokens, contextTokens }: TooLong) {
    super(`the prompt has ${promptTokens} tokens, the model takes ${contextTokens} with its answer`)
    this.promptTokens = promptTokens
    this.mostTokens = mostTokens
  }
}

/** As the worker tells it. */
export interface TooLong {
  readonly promptTokens: number
  readonly mostTokens: number
  readonly contextTokens: number
}
