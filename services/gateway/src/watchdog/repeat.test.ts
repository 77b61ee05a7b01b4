import { expect, it } from 'vitest'
import { repeat } from './repeat.ts'

it('runs one turn after the other, whatever they end in, and tells a row of failures once', async () => {
  const outcomes = ['fails', 'fails', 'works', 'fails']
  const told: string[] = []
  let atOnce = 0
  let finished: () => void
  const all = new Promise<void>((resolve) => {
    finished = resolve
  })
  const stop = repeat(
    1,
    async () => {
      expect(++atOnce).toBe(1)
      await Promise.resolve()
      atOnce--
      const outcome = outcomes.shift()
      if (outcome === undefined) return finished()
      if (outcome === 'fails') throw new Error(`${outcomes.length} left`)
    },
    (error) => void told.push(error.message),
  )
  await all
  await stop()
  expect(told).toEqual(['3 left', '0 left'])
})
