import { expect, test } from 'vitest'
import { type Ground, type Grounding, groundLabels } from './ground-labels.ts'

const ground: Ground = { pages: 12, clusters: 20, leastSimilarity: 0.2 }
const alien: Grounding = { confidence: 0.3, coverage: 0, similarity: 0.05, lift: 0.4, liftOfFew: undefined }
const isTaken = (of: Partial<Grounding>, on: Partial<Ground> = {}) =>
  groundLabels(['label'], { ...ground, ...on }, () => ({ ...alien, ...of })).length > 0

test.each([
  ['one page of five', 5, 1],
  ['three pages of five', 5, 3],
  ['three pages of nine, which are a third', 9, 3],
  ['five pages of sixty', 60, 5],
])('is not supported by the words of %s', (_, pages, saying) => {
  expect(isTaken({ coverage: saying / pages }, { pages })).toBe(false)
})

test.each([
  ['four pages of five', 5, 4],
  ['four pages of twelve', 12, 4],
  ['both pages of two', 2, 2],
])('is supported by the words of %s, whatever it means', (_, pages, saying) => {
  expect(isTaken({ coverage: saying / pages, similarity: 0, lift: -1, liftOfFew: -1 }, { pages })).toBe(true)
})

test('is supported by a meaning as near as that of the keyphrases which stands out, though no page says it', () => {
  expect(isTaken({ similarity: 0.2, lift: 1.3 })).toBe(true)
  expect(isTaken({ similarity: 0.19, lift: 3 })).toBe(false)
  expect(isTaken({ similarity: 0.5, lift: 1.2 })).toBe(false)
})

test('a label that the embedding model has no words for means nothing, whatever the keyphrases do', () => {
  expect(isTaken({ similarity: 0, lift: 2 }, { leastSimilarity: 0 })).toBe(false)
  expect(isTaken({ similarity: 0, lift: 2 }, { leastSimilarity: -0.1 })).toBe(false)
})

test('words that few of the shown pages say must stand out too', () => {
  expect(isTaken({ similarity: 0.6, lift: 3, liftOfFew: 0.9 })).toBe(false)
  expect(isTaken({ similarity: 0.6, lift: 3, liftOfFew: 1.4 })).toBe(true)
  // Among two clusters or one nothing stands out far enough to tell.
  expect(isTaken({ similarity: 0.6, lift: 1, liftOfFew: 1 }, { clusters: 2 })).toBe(false)
})

test('stands out as far as can be among few clusters', () => {
  expect(isTaken({ similarity: 0.5, lift: 0.9 }, { clusters: 4 })).toBe(true)
  expect(isTaken({ similarity: 0.5, lift: 0.7 }, { clusters: 4 })).toBe(false)
  expect(isTaken({ similarity: 0.5, lift: 0 }, { clusters: 1 })).toBe(true)
})

test('a cluster without keyphrases takes what fits it as a tag of the vocabulary does', () => {
  expect(isTaken({ similarity: 0.5, lift: 2, confidence: 0.5 }, { leastSimilarity: undefined })).toBe(true)
  expect(isTaken({ similarity: 0.5, lift: 2, confidence: 0.4 }, { leastSimilarity: undefined })).toBe(false)
})

test('that the model chose it raises its confidence', () => {
  const [proposal] = groundLabels(['boats'], ground, () => ({ ...alien, coverage: 0.9, confidence: 0.6 }))
  expect(proposal).toMatchObject({ label: 'boats', method: 'llm' })
  expect(proposal!.confidence).toBeCloseTo(0.74, 10)
})
