import { expect, test } from 'vitest'
import { bruteNearest, bruteProduct as multiply, noise, topics } from '../clustering/testing.ts'
import { unitVectors } from '../clustering/vectors.ts'
import { findNeighbours } from './find-neighbours.ts'

const dims = 24
const wiki = (pages: number) => unitVectors(topics(pages, 40, dims, 0.8, 7), dims)

test('the nearest pages are those that comparing every pair finds', async () => {
  const rows = wiki(700)
  const found = await findNeighbours(rows, dims, 7, { multiply })
  const truth = bruteNearest(rows, dims, 7)
  expect(found.indices).toEqual(truth.indices)
  for (const [at, similarity] of truth.similarities.entries()) expect(found.similarities[at]).toBeCloseTo(similarity, 5)
  expect(found.recall).toBe(1)
})

test('cells find 95 % of them or more, each once, best first, and tell how many', async () => {
  const rows = wiki(2_000)
  const found = await findNeighbours(rows, dims, 10, { multiply, exactUpTo: 100, seed: 3 })
  const truth = bruteNearest(rows, dims, 10)
  let hits = 0
  for (let row = 0; row < 2_000; row++) {
    const own = found.indices.subarray(row * 10, row * 10 + 10)
    expect(new Set(own).size).toBe(10)
    expect(own.includes(row)).toBe(false)
    const values = [...found.similarities.subarray(row * 10, row * 10 + 10)]
    expect(values).toEqual(values.toSorted((a, b) => b - a))
    const best = new Set(truth.indices.subarray(row * 10, row * 10 + 10))
    hits += own.reduce((sum, other) => sum + (best.has(other) ? 1 : 0), 0)
  }
  expect(hits / 20_000).toBeGreaterThan(0.95)
  expect(Math.abs(found.recall - hits / 20_000)).toBeLessThan(0.02)
})

test('a seed gives the same cells', async () => {
  const rows = wiki(1_000)
  const run = (seed: number) => findNeighbours(rows, dims, 10, { multiply, exactUpTo: 100, seed })
  const [first, again] = [await run(3), await run(3)]
  expect(again).toEqual(first)
})

test('where all cells that rows name find too few, others are made and their finds added', async () => {
  // Nothing in noise is near, so that neighbours lie in any of the 110 cells.
  const [pages, width, k] = [3_000, 64, 10]
  const rows = unitVectors(noise(pages, width), width)
  let divisions = 0
  const progress = (share: number) => {
    if (share === 0.2) divisions++
  }
  const found = await findNeighbours(rows, width, k, { multiply, exactUpTo: 100, progress })
  let hits = 0
  for (let row = 0; row < pages; row += 20) {
    const others = await multiply(rows.subarray(row * width, (row + 1) * width), rows, width)
    // The row itself is the most similar.
    const last = others.sort()[pages - 1 - k]!
    for (let at = row * k; at < (row + 1) * k; at++) if (found.similarities[at]! >= last - 1e-6) hits++
  }
  expect(divisions).toBeGreaterThan(1)
  expect(hits / ((pages / 20) * k)).toBeGreaterThan(0.95)
})

test('every list is full, also of rows in cells of their own', async () => {
  // Each of 120 rows is far from the 1,880 of one topic and from the others.
  const lone = noise(120, dims, 5)
  const close = topics(1_880, 1, dims, 0.2, 9)
  const rows = unitVectors(Float32Array.of(...lone, ...close), dims)
  const found = await findNeighbours(rows, dims, 15, { multiply, exactUpTo: 100 })
  expect(found.indices.includes(-1)).toBe(false)
})

test('an abort ends it between two blocks', async () => {
  const signal = AbortSignal.abort(new Error('cancelled'))
  await expect(findNeighbours(wiki(50), dims, 3, { multiply, signal })).rejects.toThrow('cancelled')
})

test('more neighbours than there are other pages are refused', async () => {
  await expect(findNeighbours(wiki(5), dims, 5, { multiply })).rejects.toThrow('asked for 5 neighbours among 5 rows')
})
