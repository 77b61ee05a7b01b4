import { expect, test } from 'vitest'
import { LabelVectors } from './label-vectors.ts'

const dims = 4_096
const embedder = {
  modelId: 'made up',
  dims,
  embed: async (texts: readonly string[]) => new Float32Array(texts.length * dims),
}
const labels = (from: number, to: number) => Array.from({ length: to - from }, (_, k) => `label ${from + k}`)

test('asks the model what is the same to it once, however many want to know, and again where that failed', async () => {
  let asked = 0
  const once = {
    ...embedder,
    embed: async (texts: readonly string[]) => {
      if (++asked === 1) throw new Error('the model is away')
      return embedder.embed(texts)
    },
  }
  const vectors = new LabelVectors(once, true)
  await expect(vectors.meaning()).rejects.toThrow('the model is away')
  const [one, other] = await Promise.all([vectors.meaning(), vectors.meaning()])
  expect(one).toBe(other)
  expect(asked).toBe(2)
})

test('keeps no more labels than fit into its bytes, whatever their dimensions, the latest of them', async () => {
  const vectors = new LabelVectors(embedder, true)
  await vectors.of(labels(0, 3_000))
  // 16 KiB each: 2,000 fit, and no 2,100.
  await vectors.of(labels(1_000, 3_000))
  expect(vectors.hits).toBeGreaterThan(1_900)
  const { misses } = vectors
  await vectors.of(labels(0, 900))
  expect(vectors.misses - misses).toBe(900)
})
