import { type LabelEvidence, labelConfidence } from '@tagloom/kernels'
import type { Judged } from './judged-labels.ts'

/** The labels of one wiki, all of one kind. Each wiki weighs the same in a fit, however many labels it has. */
export type JudgedWiki = readonly Judged[]

export interface Fitted {
  readonly confidence: (of: LabelEvidence) => number
  readonly coefficients: Readonly<Record<string, readonly number[]>>
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const telling = (of: LabelEvidence): number => of.coverage * sigmoid(1 + 1.5 * of.lift)
const wordFeatures = (of: LabelEvidence): number[] => [1, telling(of), of.precision, of.lift]
const meaningFeatures = (of: LabelEvidence): number[] => [1, of.similarity, of.lift]

/** Log odds of labelConfidence, within what a float32 tells apart from 0 and 1. */
function givenFeatures(of: LabelEvidence): number[] {
  const p = Math.min(1 - 1e-7, Math.max(1e-7, labelConfidence(of)))
  return [1, Math.log(p / (1 - p))]
}

/** One confidence for all: what the others must be better than to be of use. */
export function fitConstant(wikis: readonly JudgedWiki[]): Fitted {
  const [intercept = 0] = regress(wikis, () => [1])
  return { confidence: () => sigmoid(intercept), coefficients: { constant: [rounded(intercept)] } }
}

/**
 * Platt's calibration of labelConfidence: intercept and slope on its log odds. The order of labels stays. Platt, "Probabilistic outputs for
 * support vector machines and comparisons to regularized likelihood methods", 1999.
 */
export function fitCalibration(wikis: readonly JudgedWiki[]): Fitted {
  const platt = regress(wikis, givenFeatures)
  return {
    confidence: (of) => sigmoid(product(platt, givenFeatures(of))),
    coefficients: { platt: platt.map(rounded) },
  }
}

/**
 * The form of labelConfidence with coefficients from logistic regression: words on labels that pages of the cluster say, meaning on
 * those that none says (on all where there are none such).
 */
export function fitConfidence(wikis: readonly JudgedWiki[]): Fitted {
  const part = (said: boolean) =>
    wikis.map((wiki) => wiki.filter(({ evidence }) => evidence.coverage > 0 === said)).filter((wiki) => wiki.length > 0)
  const unsaid = part(false)
  const words = regress(part(true), wordFeatures)
  const meaning = regress(unsaid.length > 0 ? unsaid : wikis, meaningFeatures)
  return {
    confidence: (of) =>
      sigmoid(of.coverage > 0 ? product(words, wordFeatures(of)) : product(meaning, meaningFeatures(of))),
    coefficients: { words: words.map(rounded), meaning: meaning.map(rounded) },
  }
}

const product = (coefficients: readonly number[], x: readonly number[]): number =>
  x.reduce((sum, value, k) => sum + value * coefficients[k]!, 0)
const rounded = (value: number): number => Math.round(value * 100) / 100
const RIDGE = 0.01
const STEPS = 30
/** What the labels of a wiki weigh together */
const WIKI_WEIGHT = 500

/** Logistic regression by Newton's method, with a little ridge so that what parts the two perfectly has an end. */
function regress(wikis: readonly JudgedWiki[], featuresOf: (of: LabelEvidence) => number[]): number[] {
  const rows = wikis.flatMap((wiki) =>
    wiki.map(({ evidence, right }) => ({
      x: featuresOf(evidence),
      y: right ? 1 : 0,
      weight: WIKI_WEIGHT / wiki.length,
    })),
  )
  const size = rows[0]?.x.length ?? 0
  let beta = new Array<number>(size).fill(0)
  for (let step = 0; step < STEPS; step++) {
    const gradient = beta.map((value) => -RIDGE * value)
    const hessian = beta.map((_, i) => beta.map((__, j) => (i === j ? RIDGE : 0)))
    for (const { x, y, weight } of rows) {
      const p = sigmoid(product(beta, x))
      for (let i = 0; i < size; i++) {
        gradient[i]! += weight * x[i]! * (y - p)
        for (let j = 0; j < size; j++) hessian[i]![j]! += weight * x[i]! * x[j]! * p * (1 - p)
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
