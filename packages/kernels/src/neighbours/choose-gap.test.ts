import { expect, test } from 'vitest'
import { gapToMeet } from './choose-gap.ts'
import type { Division } from './divide-into-cells.ts'
import type { Sample } from './measure-recall.ts'

/** Rows 0 to 3 in cells 0, 1, 2, 3. Each names its own and one more, at its gap. */
const division: Division = {
  cells: 4,
  named: 2,
  nearest: Int32Array.of(0, 1, 1, 2, 2, 3, 3, 0),
  gaps: Float32Array.of(0, 0.5, 0, 0.25, 0, 0.75, 0, 0.125),
}

function sampleOf(truth: number[]): Sample {
  const lists = { k: 2, indices: Int32Array.from(truth), similarities: new Float32Array(4), least: new Float32Array(2) }
  return { rows: Int32Array.of(0, 2), truth: lists }
}

test('a pair meets at the smaller gap of its two directions', () => {
  // 0 visits 1 at 0.5; 3 visits 0 at 0.125; 1 visits 2 at 0.25; 2 visits 3 at 0.75.
  const sample = sampleOf([1, 3, 1, 3])
  expect(gapToMeet(sample, division, 0.25)).toBe(0.125)
  expect(gapToMeet(sample, division, 0.5)).toBe(0.25)
  expect(gapToMeet(sample, division, 0.75)).toBe(0.5)
  expect(gapToMeet(sample, division, 1)).toBe(0.75)
})

test('what no row names is met at no gap', () => {
  const sample = sampleOf([2, 1, 0, 1])
  expect(gapToMeet(sample, division, 0.5)).toBe(0.5)
  expect(gapToMeet(sample, division, 0.75)).toBe(Number.POSITIVE_INFINITY)
})

test('more than all are met at no gap', () => {
  expect(gapToMeet(sampleOf([1, 3, 1, 3]), division, 1.01)).toBe(Number.POSITIVE_INFINITY)
})
