import { fileURLToPath } from 'node:url'
import { tagForm } from '@tagloom/contracts'
import { type Embedder, openEmbedder } from '@tagloom/inference'
import {
  bundledMeaning,
  type Keyphrase,
  labelConfidence,
  type MeaningCosines,
  rankPhrases,
  resolveTags,
} from '@tagloom/kernels'
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

/** Clusters of a layer by what their pages are about, the first of each a phrase that names it. */
const topics = [
  ['sailing boats', 'harbours', 'yacht racing', 'ropes and knots', 'weather at sea', 'sailing yachts'],
  ['bread baking', 'sourdough', 'yeast', 'ovens', 'flour types', 'cake recipes'],
  ['database indexes', 'SQL queries', 'transactions', 'query planner', 'replication', 'database schemas'],
  ['public key cryptography', 'digital signatures', 'hash functions', 'key exchange', 'certificates', 'encryption'],
  ['jazz music', 'saxophone', 'improvisation', 'swing rhythm', 'blues', 'big bands'],
  ['income tax', 'tax returns', 'value added tax', 'deductions', 'corporate tax', 'tax authorities'],
]

/** The keyphrases that each cluster keeps, and how sure a given label that no page says is for each cluster. */
async function ranked(model: Model, meaning?: MeaningCosines) {
  const vectors = new LabelVectors(model, true)
  const all = topics.flat()
  const vectorOf = await vectors.of([...all, 'boats', 'finance'])
  const { dims } = model
  const own = meaning ?? (await vectors.meaning())
  const centroids = new Float32Array(topics.length * dims)
  for (const [no, phrases] of topics.entries()) {
    const centroid = centroids.subarray(no * dims, (no + 1) * dims)
    for (const phrase of phrases) for (let d = 0; d < dims; d++) centroid[d]! += vectorOf(phrase)[d]!
    const length = Math.hypot(...centroid)
    for (let d = 0; d < dims; d++) centroid[d]! /= length
  }
  const keyphrase = (label: string, at = 0): Keyphrase => ({
    label,
    form: tagForm(label),
    score: 1 / (1 + at),
    coverage: 0.3,
    support: 0.3,
    precision: 0.5,
  })
  return topics.map((phrases, cluster) => {
    const of = { centroids, cluster, dims, meaning: own, limit: 6, keyphrases: phrases.map(keyphrase) }
    const found = rankPhrases({ ...of, vectors: Float32Array.from(phrases.flatMap((one) => [...vectorOf(one)])) }).sort(
      (a, b) => (a.label < b.label ? -1 : 1),
    )
    const given = { ...of, keyphrases: [keyphrase('boats'), keyphrase('finance')] }
    const standing = given.keyphrases.flatMap((one) =>
      rankPhrases({ ...given, keyphrases: [one], vectors: vectorOf(one.label) }),
    )
    const sure = standing.map((one) => labelConfidence({ ...one, coverage: 0, precision: 0 }))
    return { labels: found.map(({ label }) => label), similarities: found.map(({ similarity }) => similarity), sure }
  })
}

test('ranks and fits labels as the bundled model does, which its cosines as they are would not', async () => {
  const expected = await ranked(bundled)
  const same = await ranked(squeezed(4))
  expect(same.map(({ labels }) => labels)).toEqual(expected.map(({ labels }) => labels))
  const far = (others: typeof expected, of: (one: (typeof expected)[number]) => number[]) =>
    Math.max(...expected.flatMap((one, no) => of(one).map((value, at) => Math.abs(value - of(others[no]!)[at]!))))
  expect(far(same, ({ similarities }) => similarities)).toBeLessThan(0.15)
  expect(far(same, ({ sure }) => sure)).toBeLessThan(0.15)
  const raw = await ranked(squeezed(4), bundledMeaning)
  expect(raw.map(({ labels }) => labels.length)).toEqual(topics.map(() => 1))
  expect(far(raw, ({ sure }) => sure)).toBeGreaterThan(0.2)
})
