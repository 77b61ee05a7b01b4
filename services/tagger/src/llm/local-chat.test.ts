import { type Generated, PromptTooLong, type TextGenerator } from '@tagloom/inference'
import { expect, test } from 'vitest'
import { localChat } from './local-chat.ts'

/** A generator whose answers the test gives. */
function generatorOf(answer: (content: string, signal?: AbortSignal) => Promise<string>): TextGenerator {
  return {
    model: 'tiny',
    contextTokens: 100,
    generate: async (messages, { signal }): Promise<Generated> => {
      const text = await answer(messages[0]!.content, signal)
      return { text, promptTokens: 7, completionTokens: 3, finish: 'stop' }
    },
    close: async () => {},
  }
}

const ask = (content: string) => ({
  messages: [{ role: 'user' as const, content }],
  shortened: (share: number) =>
    share < 0.2 ? undefined : [{ role: 'user' as const, content: content.slice(0, content.length * share) }],
  schema: {},
  maxTokens: 5,
})
const never = new AbortController().signal

test('answers with the tokens that it took, one call at a time', async () => {
  let atOnce = 0
  let most = 0
  const chat = localChat(
    generatorOf(async (content) => {
      most = Math.max(most, ++atOnce)
      await new Promise((resolve) => setImmediate(resolve))
      atOnce--
      return `about ${content}`
    }),
    1_000,
  )
  const answers = await Promise.all(
    ['a', 'b', 'c'].map(async (content) => {
      const end = await chat.turn!(never)
      return chat.chat(ask(content), never).finally(end)
    }),
  )
  expect(answers.map((a) => a.content)).toEqual(['about a', 'about b', 'about c'])
  expect(answers[0]).toMatchObject({ tokensIn: 7, tokensOut: 3 })
  expect(most).toBe(1)
})

test('a call ends within its time, and is not tried again', async () => {
  const chat = localChat(
    generatorOf(
      (_, signal) => new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
    ),
    20,
  )
  await expect(chat.chat(ask('a'), never)).rejects.toMatchObject({ kind: 'timeout', retryable: false })
})

test('a failure has the reason, and work that is no longer wanted throws its own', async () => {
  const failing = localChat(
    generatorOf(async () => Promise.reject(new Error('prompt too long'))),
    1_000,
  )
  await expect(failing.chat(ask('a'), never)).rejects.toMatchObject({ kind: 'failure', message: 'prompt too long' })
  await expect(failing.chat(ask('a'), AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled')
  await expect(failing.turn!(AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled')
})

test('a prompt that is longer than the model takes is cut until it fits; one that cannot be cut so far fails once', async () => {
  const asked: number[] = []
  const chat = localChat(
    generatorOf(async (content) => {
      asked.push(content.length)
      // Whatever is cut, thirty tokens are those of the instructions.
      const promptTokens = 30 + content.length
      if (promptTokens > 80) throw new PromptTooLong({ promptTokens, mostTokens: 80, contextTokens: 100 })
      return 'about it'
    }),
    1_000,
  )
  expect((await chat.chat(ask('a'.repeat(100)), never)).content).toBe('about it')
  expect(asked[0]).toBe(100)
  expect(asked.at(-1)).toBeLessThanOrEqual(50)
  expect(asked.at(-1)).toBeGreaterThan(30)
  const tooLong = { kind: 'failure', code: 'prompt_too_long', retryable: false }
  await expect(chat.chat(ask('a'.repeat(1_000)), never)).rejects.toMatchObject(tooLong)
})
