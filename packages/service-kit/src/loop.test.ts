import { expect, it } from 'vitest'
import { startLoop } from './loop.ts'

it('runs one round after the other, whatever they end in, and tells a row of failures once', async () => {
  const outcomes = ['fails', 'fails', 'works', 'fails']
  const told: string[] = []
  let atOnce = 0
  const all = Promise.withResolvers<void>()
  const loop = startLoop(
    1,
    async () => {
      expect(++atOnce).toBe(1)
      await Promise.resolve()
      atOnce--
      const outcome = outcomes.shift()
      if (outcome === undefined) return all.resolve()
      if (outcome === 'fails') throw new Error(`${outcomes.length} left`)
    },
    (error) => void told.push(error.message),
  )
  await all.promise
  await loop.stop()
  expect(told).toEqual(['3 left', '0 left'])
})

it('that is woken in the middle of a round begins another right after it, and none beside it', async () => {
  const rounds = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let begun = 0
  const loop = startLoop(
    3_600_000,
    () => rounds[begun++]!.promise,
    () => {},
  )
  await expect.poll(() => begun).toBe(1)
  loop.wake()
  loop.wake()
  expect(begun).toBe(1)
  rounds[0]!.resolve()
  await expect.poll(() => begun).toBe(2)
  rounds[1]!.resolve()
  await loop.stop()
  loop.wake()
  expect(begun).toBe(2)
})

it('aborts the round in hand when it stops, waits for it, and tells nothing of how it ended', async () => {
  const told: string[] = []
  let ended = false
  const begun = Promise.withResolvers<void>()
  const loop = startLoop(
    1,
    async (signal) => {
      begun.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      ended = true
      throw signal.reason
    },
    (error) => void told.push(error.message),
  )
  await begun.promise
  await loop.stop()
  expect([ended, told]).toEqual([true, []])
})
