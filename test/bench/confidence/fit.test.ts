import { describe, expect, it } from 'vitest'
import { fitConfidence } from './fit.ts'
import type { Judged } from './judged-labels.ts'

describe('fitting a confidence', () => {
  it('finds the chance by which labels are right, at each strength of their evidence', () => {
    const at = (precision: number, right: number): Judged[] =>
      Array.from({ length: 100 }, (_, k) => ({
        kind: 'keyphrases',
        evidence: { coverage: 0.5, precision, similarity: 0.3, lift: 1 },
        right: k < right,
      }))
    const { confidence } = fitConfidence([...at(0.2, 20), ...at(0.8, 90)])
    expect(confidence({ coverage: 0.5, precision: 0.2, similarity: 0, lift: 1 })).toBeCloseTo(0.2, 2)
    expect(confidence({ coverage: 0.5, precision: 0.8, similarity: 0, lift: 1 })).toBeCloseTo(0.9, 2)
  })
})
