import { expect, test } from 'vitest'
import { silhouette } from './silhouette.ts'
import { bruteProduct, noise } from './testing.ts'
import { unitVectors } from './vectors.ts'

/** By the definition, comparing every pair. */
function bruteSilhouette(vectors: Float32Array, dims: number, labels: Int32Array): number {
  const inside = [...labels.keys()].filter((page) => labels[page]! >= 0)
  const distance = (a: number, b: number) => {
    let sum = 0
    for (let j = 0; j < dims; j++) sum += vectors[a * dims + j]! * vectors[b * dims + j]!
    return 1 - sum
  }
  const widths = inside.map((page) => {
    const means = new Map<number, number[]>()
    for (const other of inside) {
      if (other === page) continue
      const of = means.get(labels[other]!) ?? []
      means.set(labels[other]!, [...of, distance(page, other)])
    }
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
    const own = means.get(labels[page]!)
    if (!own) return 0
    const nearest = Math.min(...[...means].filter(([label]) => label !== labels[page]).map(([, of]) => mean(of)))
    return (nearest - mean(own)) / Math.max(nearest, mean(own))
  })
  return widths.reduce((a, b) => a + b, 0) / widths.length
}

test('equals the definition over all pairs, without pages outside and with one alone in its cluster', async () => {
  const vectors = unitVectors(noise(80, 12), 12)
  const labels = Int32Array.from({ length: 80 }, (_, page) => (page === 5 ? 4 : page % 7 === 0 ? -1 : page % 4))
  const { score, standardError } = await silhouette(vectors, 12, labels, 5, bruteProduct)
  expect(score).toBeCloseTo(bruteSilhouette(vectors, 12, labels), 5)
  expect(standardError).toBe(0)
})

test('equals what scikit-learn 1.9.1 gives for a fixed case', async () => {
  // silhouette_score([[1,0],[.8,.6],[0,1],[-.6,.8],[-1,0]], [0,0,1,1,1], metric="cosine")
  const vectors = Float32Array.of(1, 0, 0.8, 0.6, 0, 1, -0.6, 0.8, -1, 0)
  const { score } = await silhouette(vectors, 2, Int32Array.of(0, 0, 1, 1, 1), 2, bruteProduct)
  expect(score).toBeCloseTo(0.6451464153695274, 5)
})

test('is not defined below two clusters', async () => {
  const vectors = unitVectors(noise(10, 4), 4)
  expect(await silhouette(vectors, 4, new Int32Array(10), 1, bruteProduct)).toEqual({ score: null, standardError: 0 })
})
