import type { LabelEvidence } from '@tagloom/kernels'
import type { Judged } from './judged-labels.ts'

export interface FittedConfidence {
  readonly confidence: (of: LabelEvidence) => number
  readonly coefficients: { readonly words: readonly number[]; readonly meaning: readonly number[] }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const telling = (of: LabelEvidence): number => of.coverage * sigmoid(1 + 1.5 * of.lift)
const wordFeatures = (of: LabelEvidence): number[] => [1, telling(of), of.precision, of.lift]
const meaningFeatures = (of: LabelEvidence): number[] => [1, of.similarity, of.lift]

/**
 * The form of labelConfidence with coefficients from logistic regression: words on labels that pages of the cluster say, meaning on
 * those that none says (on all where there are none such).
 */
export function fitConfidence(judged: readonly Judged[]): FittedConfidence {
  const said = judged.filter(({ evidence }) => evidence.coverage > 0)
  const unsaid = judged.filter(({ evidence }) => evidence.coverage === 0)
  const words = regress(said, wordFeatures)
  const meaning = regress(unsaid.length > 0 ? unsaid : judged, meaningFeatures)
  const score = (coefficients: readonly number[], x: readonly number[]) =>
    sigmoid(x.reduce((sum, value, k) => sum + value * coefficients[k]!, 0))
  return {
    confidence: (of) => (of.coverage > 0 ? score(words, wordFeatures(of)) : score(meaning, meaningFeatures(of))),
    coefficients: { words: words.map(rounded), meaning: meaning.map(rounded) },
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100
const RIDGE = 0.01
const STEPS = 30

/** Logistic regression by Newton's method, with a little ridge so that what parts the two perfectly has an end. */
function regress(judged: readonly Judged[], featuresOf: (of: LabelEvidence) => number[]): number[] {
  const rows = judged.map(({ evidence, right }) => ({ x: featuresOf(evidence), y: right ? 1 : 0 }))
  const size = rows[0]?.x.length ?? 0
  let beta = new Array<number>(size).fill(0)
  for (let step = 0; step < STEPS; step++) {
    const gradient = beta.map((value) => -RIDGE * value)
    const hessian = beta.map((_, i) => beta.map((__, j) => (i === j ? RIDGE : 0)))
    for (const { x, y } of rows) {
      const p = sigmoid(x.reduce((sum, value, k) => sum + value * beta[k]!, 0))
      for (let i = 0; i < size; i++) {
        gradient[i]! += x[i]! * (y - p)
        for (let j = 0; j < size; j++) hessian[i]![j]! += x[i]! * x[j]! * p * (1 - p)
      }
    }
    const change = solve(hessian, gradient)
    beta = beta.map((value, k) => value + change[k]!)
  }
  return beta
}

/** Gaussian elimination with pivots; `a` is positive definite. */
function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!])
  const size = b.length
  for (let col = 0; col < size; col++) {
    const pivot = rows.slice(col).reduce((best, row) => (Math.abs(row[col]!) > Math.abs(best[col]!) ? row : best))
    rows.splice(rows.indexOf(pivot), 1)
    rows.splice(col, 0, pivot)
    for (const row of rows) {
      if (row === pivot) continue
      const factor = row[col]! / pivot[col]!
      for (let k = col; k <= size; k++) row[k]! -= factor * pivot[k]!
    }
  }
  return rows.map((row, k) => row[size]! / row[k]!)
}
