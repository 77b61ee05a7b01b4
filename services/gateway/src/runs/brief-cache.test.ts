import { expect, it } from 'vitest'
import { BriefCache } from './brief-cache.ts'

it('computes once for all who ask within its time, and again after it', async () => {
  let now = 0
  let computed = 0
  const cache = new BriefCache<number>(100, 10, () => now)
  const ask = () => cache.get('a', async () => ++computed)
  expect(await Promise.all([ask(), ask()])).toEqual([1, 1])
  now = 99
  expect(await ask()).toBe(1)
  now = 100
  expect(await ask()).toBe(2)
})

it('remembers no failure, and nothing at all for no time', async () => {
  const cache = new BriefCache<number>(100)
  await expect(cache.get('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away')
  expect(await cache.get('a', async () => 2)).toBe(2)
  const none = new BriefCache<number>(0)
  await none.get('a', async () => 1)
  expect(await none.get('a', async () => 2)).toBe(2)
})

it('shares what does not last, but does not remember it', async () => {
  const cache = new BriefCache<number>(100)
  let computed = 0
  const ask = () =>
    cache.get(
      'a',
      async () => ++computed,
      (value) => value > 2,
    )
  expect(await Promise.all([ask(), ask()])).toEqual([1, 1])
  expect([await ask(), await ask(), await ask()]).toEqual([2, 3, 3])
})

it('forgets the oldest beyond its bound', async () => {
  const cache = new BriefCache<number>(1_000, 2, () => 0)
  for (const [at, key] of ['a', 'b', 'c'].entries()) await cache.get(key, async () => at)
  expect(await cache.get('a', async () => 9)).toBe(9)
  expect(await cache.get('c', async () => 9)).toBe(2)
})
