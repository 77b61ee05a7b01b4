import { expect, test } from 'vitest'
import { assignPages, driftOf, leftOutShare } from './assign-pages.ts'
import { clusterPages } from './cluster-pages.ts'
import { bruteProduct, noise, topics } from './testing.ts'
import { unitVectors } from './vectors.ts'

const dims = 24

async function clustersOf(vectors: Float32Array) {
  const found = await clusterPages(vectors, dims, {}, { multiply: bruteProduct })
  return found.layers[found.chosen]!
}

async function multiply(a: Float32Array, b: Float32Array, width: number): Promise<Float32Array> {
  const [m, n] = [a.length / width, b.length / width]
  return Float32Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n]
    let sum = 0
    for (let j = 0; j < width; j++) sum += a[row * width + j]! * b[column * width + j]!
    return sum
  })
}

const leftOut = (clusters: Int32Array) => clusters.filter((cluster) => cluster < 0).length

test('new pages of a topic join its cluster, and those of none are left', async () => {
  const all = unitVectors(topics(800, 8, dims, 0.6), dims)
  const own = all.slice(0, 400 * dims)
  const layer = await clustersOf(own)
  const { clusters } = assignPages(all.slice(400 * dims), dims, layer)
  let right = 0
  for (const [i, cluster] of clusters.entries()) {
    if (cluster < 0) continue
    expect(cluster).toBe(layer.labels[i % 8])
    right++
  }
  expect(right).toBeGreaterThan(320)
  const expectedShare = await leftOutShare(own, dims, layer, multiply)
  expect(expectedShare).toBe(leftOut(assignPages(own, dims, layer).clusters) / 400)
  expect(driftOf({ pages: 400, leftOut: leftOut(clusters), expectedShare })).toMatchObject({ rerunDue: false })
  const strange = assignPages(unitVectors(noise(200, dims, 99), dims), dims, layer)
  expect(driftOf({ pages: 200, leftOut: leftOut(strange.clusters), expectedShare })).toMatchObject({ rerunDue: true })
})

test('a page that several clusters would take goes to the nearest, with its similarity to that one', () => {
  const given = { centroids: Float32Array.of(1, 0, 0.6, 0.8), joinThresholds: Float32Array.of(0.9, 0.1) }
  const { clusters, similarities } = assignPages(Float32Array.of(0.8, 0.6, 1, 0), 2, given)
  expect([...clusters]).toEqual([1, 0])
  expect(similarities[0]).toBeCloseTo(0.96, 6)
})

test('no clusters take nothing', () => {
  const none = { centroids: new Float32Array(0), joinThresholds: new Float32Array(0) }
  expect(assignPages(Float32Array.of(1, 0), 2, none)).toMatchObject({ clusters: Int32Array.of(-1) })
})

test('a run is due by many pages that fit nothing, never by a few', () => {
  expect(driftOf({ pages: 0, leftOut: 0, expectedShare: 0.1 })).toEqual({ drift: null, rerunDue: false })
  expect(driftOf({ pages: 19, leftOut: 19, expectedShare: 0.1 }).rerunDue).toBe(false)
  expect(driftOf({ pages: 20, leftOut: 4, expectedShare: 0.1 })).toEqual({ drift: 2, rerunDue: false })
  expect(driftOf({ pages: 20, leftOut: 6, expectedShare: 0.1 }).rerunDue).toBe(true)
  expect(driftOf({ pages: 1000, leftOut: 190, expectedShare: 0.1 }).rerunDue).toBe(false)
  expect(driftOf({ pages: 1000, leftOut: 210, expectedShare: 0.1 }).rerunDue).toBe(true)
  expect(driftOf({ pages: 100, leftOut: 5, expectedShare: 0 }).drift).toBe(1)
})
