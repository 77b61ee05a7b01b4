import { type Generated, PromptTooLong, type TextGenerator } from '@tagloom/inference'
import { type ChatModel, type ChatRequest, LlmCallFailed } from './chat-model.ts'

/**
 * A model in this process as a chat model. It answers one call at a time, and a call waits for its turn before its time begins to run.
 * It knows no structured output: the reply is parsed like any other. A prompt that is longer than it takes is cut until it fits: that costs
 * no answer, and so no call.
 */
export function localChat(generator: TextGenerator, timeoutMs: number): ChatModel {
  let last: Promise<void> = Promise.resolve()
  return {
    identity: ['local', generator.model],
    free: true,
    timeoutMs,
    async turn(signal) {
      const before = last
      let release = () => {}
      last = new Promise((resolve) => {
        release = () => void before.then(resolve)
      })
      await before
      if (signal.aborted) release()
      signal.throwIfAborted()
      return release
    },
    async chat(request, signal) {
      const timeout = AbortSignal.timeout(timeoutMs)
      try {
        const answer = await generateCut(generator, request, AbortSignal.any([signal, timeout]))
        const { text, promptTokens, completionTokens, finish } = answer
        return { content: text, tokensIn: promptTokens, tokensOut: completionTokens, cutOff: finish === 'length' }
      } catch (cause) {
        if (signal.aborted) throw signal.reason
        throw failed(cause as Error, timeout.aborted ? timeoutMs : undefined)
      }
    },
  }
}

/** Of what is left after a cut by the number of tokens this is taken: instructions are not cut, and other words have other tokens. */
const CUT_FURTHER = 0.9

async function generateCut(generator: TextGenerator, request: ChatRequest, signal: AbortSignal): Promise<Generated> {
  const given = { maxTokens: request.maxTokens, signal }
  let messages = request.messages
  for (let share = 1; ; ) {
    try {
      return await generator.generate(messages, given)
    } catch (error) {
      if (!(error instanceof PromptTooLong)) throw error
      share *= (CUT_FURTHER * error.mostTokens) / error.promptTokens
      const shorter = request.shortened(share)
      if (!shorter) throw error
      messages = shorter
    }
  }
}

/** The same question would take as long and fail the same way again. */
function failed(cause: Error, timedOutMs: number | undefined): LlmCallFailed {
  if (timedOutMs !== undefined) {
    const of = { kind: 'timeout', code: 'timeout', retryable: false } as const
    return new LlmCallFailed(of, `no answer within ${timedOutMs} ms`, { cause })
  }
  const code = cause instanceof PromptTooLong ? cause.code : 'generation'
  return new LlmCallFailed({ kind: 'failure', code, retryable: false }, cause.message, { cause })
}
