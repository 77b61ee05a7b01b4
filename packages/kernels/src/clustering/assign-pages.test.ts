import { expect, test } from 'vitest'
import { assignPages } from './assign-pages.ts'
import { clusterPages } from './cluster-pages.ts'
import { bruteProduct, noise, topics } from './testing.ts'
import { unitVectors } from './vectors.ts'

const dims = 24

async function clustersOf(vectors: Float32Array) {
  const found = await clusterPages(vectors, dims, {}, { multiply: bruteProduct })
  return found.layers[found.chosen]!
}

test('new pages of a topic join its cluster, and those of none are left', async () => {
  const all = unitVectors(topics(800, 8, dims, 0.6), dims)
  const layer = await clustersOf(all.slice(0, 400 * dims))
  const { clusters, drift } = assignPages(all.slice(400 * dims), dims, layer)
  let right = 0
  for (const [i, cluster] of clusters.entries()) {
    if (cluster < 0) continue
    expect(cluster).toBe(layer.labels[i % 8])
    right++
  }
  expect(right).toBeGreaterThan(320)
  expect(drift).toBeLessThan(2)
  const strange = assignPages(unitVectors(noise(200, dims, 99), dims), dims, layer)
  expect(strange.drift).toBeGreaterThan(5)
})

test('no clusters take nothing, no pages do not drift', () => {
  const none = { centroids: new Float32Array(0), joinThresholds: new Float32Array(0) }
  expect(assignPages(Float32Array.of(1, 0), 2, none)).toMatchObject({ clusters: Int32Array.of(-1), drift: 10 })
  expect(assignPages(new Float32Array(0), 2, none).drift).toBe(0)
})
