import type { TextGenerator } from '@tagloom/inference'
import { type ChatModel, LlmCallFailed } from './chat-model.ts'

/**
 * A model in this process as a chat model. It answers one call at a time, and a call waits for its turn before its time begins to run.
 * It knows no structured output: the reply is parsed like any other.
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
    async chat({ messages, maxTokens }, signal) {
      const timeout = AbortSignal.timeout(timeoutMs)
      try {
        const given = { maxTokens, signal: AbortSignal.any([signal, timeout]) }
        const { text, promptTokens, completionTokens, finish } = await generator.generate(messages, given)
        return { content: text, tokensIn: promptTokens, tokensOut: completionTokens, cutOff: finish === 'length' }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        const [kind, reason] = timeout.aborted
          ? (['timeout', `no answer within ${timeoutMs} ms`] as const)
          : (['failure', (error as Error).message] as const)
        // The same question would take as long and fail the same way again.
        throw new LlmCallFailed(
          { kind, code: kind === 'timeout' ? 'timeout' : 'generation', retryable: false },
          reason,
          {
            cause: error,
          },
        )
      }
    },
  }
}
