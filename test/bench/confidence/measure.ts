import { expectedCalibrationError, type LabelEvidence } from '@tagloom/kernels'
import type { Judged } from './judged-labels.ts'

export interface Measured {
  readonly labels: number
  readonly ece: number | null
  /** Of those with 0.5 or more */
  readonly ece_of_fitting: number | null
  /** Mean squared distance of confidence and outcome: unlike the calibration error it also sees whether right ones have more */
  readonly brier: number | null
  /** Chance that a right label has more confidence than a wrong one: the area under the ROC curve; null without both */
  readonly auc: number | null
  /** Count, mean confidence and share of right ones, by bins of confidence */
  readonly bins: readonly (readonly [count: number, meanConfidence: number, hitRate: number])[]
}

const BINS = [0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01]

/** What a confidence is worth on judged labels, in figures of three digits. */
export function measure(judged: readonly Judged[], confidenceOf: (of: LabelEvidence) => number): Measured {
  const scored = judged.map(({ evidence, right }) => ({ confidence: confidenceOf(evidence), right }))
  const bins = [...Map.groupBy(scored, ({ confidence }) => BINS.findIndex((end) => confidence < end))]
    .sort(([a], [b]) => a - b)
    .map(([, of]) => ({
      count: of.length,
      meanConfidence: of.reduce((sum, { confidence }) => sum + confidence, 0) / of.length,
      hitRate: of.filter(({ right }) => right).length / of.length,
    }))
  return {
    labels: judged.length,
    ece: rounded(expectedCalibrationError(bins)),
    ece_of_fitting: rounded(expectedCalibrationError(bins.filter(({ meanConfidence }) => meanConfidence >= 0.5))),
    brier: rounded(
      scored.reduce((sum, { confidence, right }) => sum + (confidence - (right ? 1 : 0)) ** 2, 0) / scored.length,
    ),
    auc: rounded(areaUnderCurve(scored)),
    bins: bins.map((bin) => [bin.count, rounded(bin.meanConfidence)!, rounded(bin.hitRate)!]),
  }
}

const rounded = (value: number | null): number | null => value && Math.round(value * 1000) / 1000

/** By ranks; labels of one confidence share theirs (Mann and Whitney, 1947). */
function areaUnderCurve(scored: readonly { readonly confidence: number; readonly right: boolean }[]): number | null {
  const right = scored.filter((one) => one.right).length
  const wrong = scored.length - right
  if (right === 0 || wrong === 0) return null
  let below = 0
  let won = 0
  const levels = [...Map.groupBy(scored, ({ confidence }) => confidence)].sort(([a], [b]) => a - b)
  for (const [, level] of levels) {
    const rightHere = level.filter((one) => one.right).length
    const wrongHere = level.length - rightHere
    won += rightHere * (below + wrongHere / 2)
    below += wrongHere
  }
  return won / (right * wrong)
}
