import { expect, test } from 'vitest'
import { bundledCosine, bundledMeaning, meaningCosines, meaningLabels } from './meaning-cosines.ts'

/** Two labels of one thing in the list stand beside each other and share most of their direction, `common` all labels some. */
const vectorOf =
  (own: number, common: number) =>
  (label: string): Float32Array => {
    const at = meaningLabels.indexOf(label)
    const vector = new Float32Array(meaningLabels.length * 2)
    vector[Math.floor(at / 2)] = own
    vector[meaningLabels.length + at] = 1
    vector[meaningLabels.length / 2] = common
    const length = Math.hypot(...vector)
    return vector.map((value) => value / length)
  }

test('go up with what all labels of a model have in common, and never reach 1', () => {
  let last = 0
  for (const common of [0, 1, 2, 5, 20]) {
    const { same, alike } = meaningCosines(vectorOf(2, common))
    expect(alike).toBeLessThan(same)
    expect(same).toBeGreaterThan(last)
    expect(same).toBeLessThan(1)
    last = same
  }
})

test('lie above 1 for a model that finds rewordings no nearer than what is unrelated', () => {
  for (const blind of [vectorOf(0, 1), () => new Float32Array(4)]) {
    const { same, alike } = meaningCosines(blind)
    expect(Math.min(same, alike)).toBeGreaterThan(1)
  }
})

test('of the list name every label once', () => {
  expect(new Set(meaningLabels).size).toBe(meaningLabels.length)
  expect(bundledMeaning.same).toBe(0.9)
})

test('are read back as those of the bundled model, and a label without words keeps its 0', () => {
  for (const common of [1, 2, 5]) {
    const meaning = meaningCosines(vectorOf(2, common))
    expect(bundledCosine(meaning.same, meaning)).toBeCloseTo(bundledMeaning.same, 5)
    expect(bundledCosine(meaning.sameSpelling, meaning)).toBeCloseTo(bundledMeaning.sameSpelling, 5)
    expect(bundledCosine(meaning.levels.unrelated, meaning)).toBeCloseTo(bundledMeaning.levels.unrelated, 5)
    expect(bundledCosine(0, meaning)).toBe(0)
  }
  const blind = meaningCosines(() => new Float32Array(4))
  expect([0.3, 0.95].map((cosine) => bundledCosine(cosine, blind))).toEqual([0.3, 0.95])
  expect(bundledCosine(0.3, bundledMeaning)).toBe(0.3)
})
