import { fileURLToPath } from 'node:url'
import { tagForm } from '@tagloom/contracts'
import { type Embedder, openEmbedder } from '@tagloom/inference'
import { bundledMeaning, type MeaningCosines, resolveTags } from '@tagloom/kernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LabelVectors } from '../label-vectors.ts'

/*
 * A model as the e5 family is: every vector has much of one direction, so all cosines lie near 1. What the bundled model joins it joins,
 * and nothing else, since where "the same" begins is measured on each model.
 */
type Model = Pick<Embedder, 'embed' | 'modelId' | 'dims'>
let bundled: Embedder
beforeAll(async () => {
  bundled = await openEmbedder({
    model: fileURLToPath(new URL('../../../../models/all-MiniLM-L6-v2', import.meta.url)),
    device: 'cpu',
    productsFit: true,
  })
})
afterAll(() => bundled.close())

/** @returns the model with vectors v' = normalise(v + strength · u), u one direction of the seed's choice */
function squeezed(strength: number): Model {
  const { dims, modelId } = bundled
  const raw = Float32Array.from({ length: dims }, (_, d) => (Math.sin(12.9898 * (d + 1)) * 43758.5453) % 1)
  const length = Math.hypot(...raw)
  const embed = async (texts: readonly string[]) => {
    const vectors = await bundled.embed(texts)
    for (let row = 0; row < texts.length; row++) {
      const vector = vectors.subarray(row * dims, (row + 1) * dims)
      for (let d = 0; d < dims; d++) vector[d]! += (strength * raw[d]!) / length
      const norm = Math.hypot(...vector)
      for (let d = 0; d < dims; d++) vector[d]! /= norm
    }
    return vectors
  }
  return { dims, modelId, embed }
}

const labels =
  `TV|Television|Unit testing|Unit tests|Bank account|Banking account|Automobile repair|Car repair|Cancer treatment|Cancer therapy|
  Bike|Bicycle|Attorney|Lawyer|Flu|Influenza|Hotel booking|Hotel reservation|Jail|Prison|Harbour|Public key|Neural network|Red wine|White wine|
  Bread|Cake|User authentication|User authorization|Income tax|Property tax|ECDSA|EdDSA|Java|JavaScript|Heart attack|Heart transplant|
  Database index|Database transaction|Tennis|Badminton|London|Paris`
    .split('|')
    .map((label) => label.trim())

/** Which labels became which other tag, where each was proposed for a cluster of its own. */
async function joined(model: Model, meaning?: MeaningCosines): Promise<string[]> {
  const vectors = new LabelVectors(model, true)
  const vectorOf = await vectors.of(labels)
  const { merged, newTags } = resolveTags({
    clusters: labels.map((label, no) => ({
      no,
      layer: 0,
      parentNo: null,
      proposals: [{ label, confidence: 0.7, method: 'keyphrases' }],
      shares: new Map(),
    })),
    centroids: new Float32Array(labels.length * model.dims),
    vocabulary: [],
    vectorOf,
    meaning: meaning ?? (await vectors.meaning()),
    mode: 'free',
    tagsPerCluster: 3,
  })
  expect(new Set(newTags.map(({ label }) => tagForm(label))).size).toBe(newTags.length)
  return merged.map(({ label, into }) => `${label} = ${newTags['newTag' in into ? into.newTag : -1]!.label}`)
}

test('the bundled model keeps the cosines that were found with it', async () => {
  const { same, alike } = await new LabelVectors(bundled, true).meaning()
  expect(same).toBeCloseTo(bundledMeaning.same, 4)
  expect(alike).toBeCloseTo(bundledMeaning.alike, 4)
})

test.each([1, 2, 4])(
  'a model whose vectors share a direction %d times as strong as their own joins the same labels',
  async (strength) => {
    const model = squeezed(strength)
    const expected = await joined(bundled)
    expect(expected).toHaveLength(6)
    expect(await joined(model)).toEqual(expected)
    const { same } = await new LabelVectors(model, true).meaning()
    expect(same).toBeCloseTo((0.9 + strength ** 2) / (1 + strength ** 2), 2)
  },
)

test('with the cosine of the bundled model, a squeezed one would join nearly all', async () => {
  expect((await joined(squeezed(4), bundledMeaning)).length).toBeGreaterThan(0.8 * labels.length)
})
