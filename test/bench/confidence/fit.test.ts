import { labelConfidence } from '@tagloom/kernels'
import { describe, expect, it } from 'vitest'
import { fitCalibration, fitConfidence, fitConstant } from './fit.ts'
import type { Judged } from './judged-labels.ts'

/** `count` labels of one strength, of which `right` are right. */
const at = (precision: number, right: number, count = 100): Judged[] =>
  Array.from({ length: count }, (_, k) => ({
    kind: 'keyphrases',
    evidence: { coverage: 0.5, precision, similarity: 0.3, lift: 1 },
    right: k < right,
  }))
const weak = { coverage: 0.5, precision: 0.2, similarity: 0.3, lift: 1 }
const strong = { ...weak, precision: 0.8 }

describe('fitting a confidence', () => {
  it('finds the chance by which labels are right, at each strength of their evidence', () => {
    for (const fit of [fitConfidence, fitCalibration]) {
      const { confidence } = fit([[...at(0.2, 20), ...at(0.8, 90)]])
      expect(confidence(weak)).toBeCloseTo(0.2, 2)
      expect(confidence(strong)).toBeCloseTo(0.9, 2)
    }
  })

  it('weighs wikis alike, however many labels they have', () => {
    const wikis = [
      [...at(0.2, 40), ...at(0.8, 80)],
      [...at(0.2, 1600, 2000), ...at(0.8, 2000, 2000)],
    ]
    for (const fit of [fitConfidence, fitCalibration]) {
      const { confidence } = fit(wikis)
      expect(confidence(weak)).toBeCloseTo(0.6, 2)
      expect(confidence(strong)).toBeCloseTo(0.9, 2)
    }
  })

  it('has one number to compare with: how many of a wiki are right', () => {
    const { confidence } = fitConstant([at(0.2, 20), at(0.8, 900, 1000)])
    expect(confidence(weak)).toBeCloseTo(0.55, 2)
    expect(confidence(strong)).toBe(confidence(weak))
  })

  it('leaves a confidence that is right already as it is', () => {
    const right = [weak, strong].flatMap((evidence) =>
      at(evidence.precision, Math.round(10_000 * labelConfidence(evidence)), 10_000),
    )
    const [intercept, slope] = fitCalibration([right]).coefficients.platt!
    expect(intercept).toBeCloseTo(0, 1)
    expect(slope).toBeCloseTo(1, 1)
  })
})
