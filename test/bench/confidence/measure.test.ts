import { expect, it } from 'vitest'
import type { Judged } from './judged-labels.ts'
import { measure } from './measure.ts'

const label = (precision: number, right: boolean): Judged => ({
  kind: 'given',
  evidence: { coverage: 0, precision, similarity: 0, lift: 0 },
  right,
})
const confidence = ({ precision }: Judged['evidence']): number => precision

it('counts how far confidence and right ones are apart, in bins', () => {
  const labels = [label(0.1, false), label(0.1, false), label(0.65, true), label(0.65, false)]
  expect(measure(labels, confidence)).toEqual({
    labels: 4,
    ece: 0.125,
    ece_of_fitting: 0.15,
    brier: 0.141,
    auc: 0.833,
    bins: [
      [2, 0.1, 0],
      [2, 0.65, 0.5],
    ],
  })
})

it('ranks no label above another of its confidence', () => {
  expect(measure([label(0.5, true), label(0.5, false)], confidence).auc).toBe(0.5)
  expect(measure([label(0.9, true), label(0.1, false)], confidence).auc).toBe(1)
  expect(measure([label(0.9, true)], confidence).auc).toBeNull()
})
