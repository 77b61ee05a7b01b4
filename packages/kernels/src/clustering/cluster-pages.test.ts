import { expect, test } from 'vitest'
import { agreement } from './agreement.ts'
import { type Clustering, clusterPages } from './cluster-pages.ts'
import { evaluateClustering } from './evaluate.ts'
import { bruteProduct, noise, topics } from './testing.ts'
import { takeRows } from './vectors.ts'

const run = (vectors: Float32Array, dims: number, options = {}): Promise<Clustering> =>
  clusterPages(vectors, dims, options, { multiply: bruteProduct })

function expectNested({ layers }: Clustering): void {
  for (const [i, layer] of layers.entries()) {
    const above = layers[i + 1]
    for (let page = 0; page < layer.labels.length; page++) {
      const cluster = layer.labels[page]!
      if (cluster < 0 || !above) continue
      expect(above.labels[page]).toBe(layer.parents[cluster])
    }
  }
}

test('finds groups that are there, in nested layers', async () => {
  const found = await run(topics(600, 8, 24, 0.6), 24)
  const layer = found.layers[found.chosen]!
  expect(layer.clusters).toBe(8)
  expect(layer.outliersAfter).toBeLessThan(30)
  for (let page = 8; page < 600; page++) {
    if (layer.labels[page]! >= 0 && layer.labels[page % 8]! >= 0)
      expect(layer.labels[page]).toBe(layer.labels[page % 8])
  }
  expectNested(found)
})

test.each([
  [noise(240, 12, 4), 12],
  [topics(240, 13, 6, 0.9, 7), 6],
])('finds a broader layer also between two rungs of resolutions', async (vectors, dims) => {
  const found = await run(vectors, dims)
  const [own, broader] = found.layers.slice(found.chosen)
  expect(broader!.clusters).toBeGreaterThanOrEqual(Math.max(2, own!.clusters / 4))
  expect(broader!.clusters).toBeLessThanOrEqual(own!.clusters / 2)
  expect(broader!.persistence).toBeGreaterThan(0)
  expectNested(found)
})

test('the same pages give the same layers', async () => {
  const vectors = noise(500, 16)
  const [a, b] = [await run(vectors, 16), await run(vectors, 16)]
  expect(a.layers).toEqual(b.layers)
  expectNested(a)
})

const chosenLabels = ({ layers, chosen }: Clustering): Int32Array => layers[chosen]!.labels

/** Overlapping topics, so that many partitions are hardly less good than the best. */
const overlapping = (pages: number, seed: number) => topics(pages, 9, 16, 1.6, seed)

test.each([
  ['noise', noise(400, 16, 3), {}],
  ['overlapping topics', overlapping(600, 5), {}],
  ['a target of clusters', overlapping(600, 6), { targetClusters: 14 }],
  ['equal pages among others', Float32Array.from([...overlapping(300, 7), ...overlapping(300, 7)]), {}],
])('goes on from itself without a change, over any number of runs (%s)', async (_, vectors, options) => {
  // The first goes on from fewer pages, so that the second goes on from what was carried over.
  const few = await run(vectors.subarray(0, 16 * 200), 16, options)
  const previous = few.found.map((layer) => {
    const communities = new Int32Array(vectors.length / 16).fill(-1)
    communities.set(layer.communities)
    return { ...layer, communities }
  })
  let last = await run(vectors, 16, { ...options, previous })
  for (let again = 0; again < 2; again++) {
    const next = await run(vectors, 16, { ...options, previous: last.found })
    expect(next.layers).toEqual(last.layers)
    expect(next.chosen).toBe(last.chosen)
    last = next
  }
  expectNested(last)
})

test('a few new pages leave the topics of the others, which found anew are others', async () => {
  const vectors = overlapping(630, 8)
  const before = await run(vectors.subarray(0, 600 * 16), 16)
  const previous = before.found.map((layer) => ({
    ...layer,
    communities: Int32Array.from({ length: 630 }, (_, page) => layer.communities[page] ?? -1),
  }))
  const [kept, anew] = [await run(vectors, 16, { previous }), await run(vectors, 16)]
  const alike = (found: Clustering) => agreement(chosenLabels(before), chosenLabels(found).subarray(0, 600)).ari
  expect(alike(kept)).toBeGreaterThan(0.85)
  expect(alike(kept)).toBeGreaterThan(alike(anew) + 0.1)
  expect(kept.criterion).toContain('the partition of the run before')
  expectNested(kept)
})

test('communities that no longer hold are found anew', async () => {
  const vectors = topics(600, 8, 24, 0.6)
  const anew = await run(vectors, 24)
  const arbitrary = anew.found.map((layer) => ({
    ...layer,
    communities: layer.communities.map((_, page) => Math.floor(page / 40)),
  }))
  expect((await run(vectors, 24, { previous: arbitrary })).layers).toEqual(anew.layers)
  const unknown = anew.found.map((layer) => ({ ...layer, communities: new Int32Array(600).fill(-1) }))
  expect((await run(vectors, 24, { previous: unknown })).layers).toEqual(anew.layers)
})

test('pages that come together make a topic of their own beside those that were there', async () => {
  const vectors = topics(640, 8, 24, 0.6)
  const old = Int32Array.from({ length: 640 }, (_, page) => page).filter((page) => page % 8 < 7)
  const before = await run(takeRows(vectors, 24, old), 24)
  const previous = before.found.map((layer) => {
    const communities = new Int32Array(640).fill(-1)
    for (const [i, page] of old.entries()) communities[page] = layer.communities[i]!
    return { ...layer, communities }
  })
  const now = await run(vectors, 24, { previous })
  expect(before.layers[before.chosen]!.clusters).toBe(7)
  expect(now.layers[now.chosen]!.clusters).toBe(8)
})

test.each([0, 1, 2, 3, 5, 10, 30])('clusters a wiki of %i pages', async (pages) => {
  const found = await run(noise(pages, 8), 8)
  expect(found.pages).toBe(pages)
  expectNested(found)
})

test('pages that are all the same are one cluster', async () => {
  const found = await run(new Float32Array(300 * 4).fill(0.5), 4)
  expect(found.layers.map((layer) => [...layer.sizes])).toEqual([[300]])
  const { silhouette } = await evaluateClustering(found, 4, bruteProduct)
  expect(silhouette.score).toBeNull()
})

test('a wiki without clusters is compared with known classes too', async () => {
  const found = await run(noise(10, 4), 4, { minClusterSize: 25 })
  expect(found.layers).toEqual([])
  const known = Array.from({ length: 10 }, (_, page) => (page === 0 ? null : page < 4 ? 'a' : 'b'))
  const { gold } = await evaluateClustering(found, 4, bruteProduct, known)
  expect(gold).toEqual({ pages: 9, ami: 0, ari: 0, purity: 6 / 9 })
})

test('two far groups are two clusters', async () => {
  const found = await run(topics(120, 2, 16, 0.3), 16)
  expect(found.layers[found.chosen]!.clusters).toBe(2)
})

test('hundreds of copies of one page stay together and do not stand in for topics', async () => {
  const vectors = topics(400, 5, 16, 0.5)
  for (let page = 100; page < 300; page++) vectors.set(vectors.subarray(0, 16), page * 16)
  const found = await run(vectors, 16)
  const layer = found.layers[found.chosen]!
  const labels = new Set(layer.labels.subarray(100, 300))
  expect(labels.size).toBe(1)
  expect(layer.clusters).toBeLessThanOrEqual(7)
})

test.each([
  [0, 'is all zeros'],
  [Number.NaN, 'no finite number'],
  [Number.POSITIVE_INFINITY, 'no finite number'],
])('a vector of %d is refused with its row', async (value, reason) => {
  const vectors = noise(10, 4)
  vectors.fill(value, 28, 32)
  await expect(run(vectors, 4)).rejects.toMatchObject({
    code: 'VECTORS_NOT_USABLE',
    row: 7,
    message: expect.stringContaining(reason),
  })
})

test('values that are no whole number of vectors are refused', async () => {
  await expect(run(new Float32Array(10), 4)).rejects.toThrow('10 values are no whole number of vectors of 4')
})

test('a target takes the layer whose number of clusters is nearest', async () => {
  const found = await run(topics(600, 12, 24, 0.6), 24, { targetClusters: 12 })
  expect(found.layers[found.chosen]!.clusters).toBe(12)
  expect(found.criterion).toContain('nearest to 12')
})

test('no cluster is smaller than asked', async () => {
  const found = await run(noise(400, 8), 8, { minClusterSize: 25 })
  for (const layer of found.layers) for (const size of layer.sizes) expect(size).toBeGreaterThanOrEqual(25)
})

test('an aborted clustering throws the reason', async () => {
  const controller = new AbortController()
  const hooks = {
    multiply: bruteProduct,
    signal: controller.signal,
    progress: () => controller.abort(new Error('cancelled')),
  }
  await expect(clusterPages(noise(100, 8), 8, {}, hooks)).rejects.toThrow('cancelled')
})

test('pages outside are counted before and after the second pass', async () => {
  const found = await run(noise(500, 16), 16)
  for (const layer of found.layers) {
    const outside = layer.labels.filter((label) => label < 0).length
    const attached = layer.attached.reduce((sum, flag) => sum + flag, 0)
    expect(layer.outliersAfter).toBe(outside)
    expect(layer.outliersBefore).toBe(outside + attached)
  }
})
