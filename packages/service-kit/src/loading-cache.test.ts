import { expect, test } from 'vitest'
import { LoadingCache } from './loading-cache.ts'

const kept = (mostBytes = 100) =>
  new LoadingCache<{ text: string }>({ enabled: true, mostBytes, bytesOf: ({ text }) => text.length })
const load = (text: string) => async () => ({ text })

test('loads once for all who ask meanwhile and afterwards', async () => {
  const cache = kept()
  let loads = 0
  const once = async () => ({ text: `${++loads}` })
  const answers = await Promise.all([cache.of(1, 'a', once), cache.of(1, 'a', once)])
  expect([...answers, await cache.of(1, 'a', once)]).toEqual([{ text: '1' }, { text: '1' }, { text: '1' }])
  expect(cache.counts).toEqual({ hits: 2, misses: 1 })
})

test('keeps no more bytes than it may, the least recently used going first', async () => {
  const cache = kept(100)
  for (const key of ['a', 'b', 'c']) await cache.of(1, key, load('x'.repeat(30)))
  await cache.of(1, 'a', load('again'))
  await cache.of(1, 'd', load('x'.repeat(30)))
  expect(cache.bytes).toBe(90)
  const { misses } = cache.counts
  for (const key of ['a', 'c', 'd']) await cache.of(1, key, load('again'))
  expect(cache.counts.misses).toBe(misses)
  await cache.of(1, 'b', load('again'))
  expect(cache.counts.misses).toBe(misses + 1)
})

test('hands out what is larger than it may keep, and keeps the rest', async () => {
  const cache = kept(100)
  await cache.of(1, 'small', load('x'))
  expect((await cache.of(1, 'large', load('x'.repeat(101)))).text).toHaveLength(101)
  expect(cache.bytes).toBe(1)
})

test('forgets a wiki, and what was being loaded for it meanwhile, and no other', async () => {
  const cache = kept()
  const { promise, resolve } = Promise.withResolvers<{ text: string }>()
  await cache.of(1, 'a', load('old'))
  await cache.of(2, 'b', load('other'))
  const loading = cache.of(1, 'c', () => promise)
  cache.forget(1)
  resolve({ text: 'old' })
  expect(await loading).toEqual({ text: 'old' })
  expect(await cache.of(1, 'a', load('new'))).toEqual({ text: 'new' })
  expect(await cache.of(1, 'c', load('new'))).toEqual({ text: 'new' })
  expect(await cache.of(2, 'b', load('new'))).toEqual({ text: 'other' })
})

test('keeps nothing of a load that failed', async () => {
  const cache = kept()
  const failing = () => Promise.reject(new Error('away'))
  await expect(cache.of(1, 'a', failing)).rejects.toThrow('away')
  expect(await cache.of(1, 'a', load('back'))).toEqual({ text: 'back' })
})

test('loads each time where caching is off', async () => {
  const cache = new LoadingCache<{ text: string }>({ enabled: false, mostBytes: 100, bytesOf: () => 1 })
  await cache.of(1, 'a', load('old'))
  expect(await cache.of(1, 'a', load('new'))).toEqual({ text: 'new' })
  expect(cache.counts).toEqual({ hits: 0, misses: 2 })
})
