import { expect, it } from 'vitest'
import { readingForScrapes } from './reading-for-scrapes.ts'

const outcomes: boolean[] = []
const options = (freshForMs: number) => {
  outcomes.length = 0
  return { freshForMs, waitAtMostMs: 30, onOutcome: (done: boolean) => void outcomes.push(done) }
}

it('is done once for the gauges of a scrape and for scrapes soon after it', async () => {
  let reads = 0
  const collect = readingForScrapes(async () => void reads++, options(60_000))
  await Promise.all([collect(), collect(), collect()])
  await collect()
  expect(reads).toBe(1)
  expect(outcomes).toEqual([true])
})

it('that fails does not fail the scrape, and is tried again when it is no longer fresh', async () => {
  let reads = 0
  const failingOnce = async () => {
    if (reads++ === 0) throw new Error('away')
  }
  const collect = readingForScrapes(failingOnce, options(0))
  await collect()
  await collect()
  expect(outcomes).toEqual([false, true])
})

it('that gets no answer is waited for shortly, and not begun again while it is under way', async () => {
  let reads = 0
  let answer = () => {}
  const silent = () => {
    reads++
    return new Promise<void>((resolve) => {
      answer = resolve
    })
  }
  const collect = readingForScrapes(silent, options(60_000))
  await collect()
  await collect()
  expect([reads, outcomes]).toEqual([1, [false, false]])
  answer()
  await collect()
  expect([reads, outcomes]).toEqual([1, [false, false, true]])
})
