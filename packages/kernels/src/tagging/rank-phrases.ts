import { standsIn } from '../text/words.ts'
import { cosinesTo, dot, labelConfidence, sigmoid, standOut } from './cluster-confidence.ts'
import { bundledCosine, bundledCosines, type MeaningCosines } from './meaning-cosines.ts'
import type { Keyphrase } from './phrase-counts.ts'

/** A label that a cluster may get. */
export interface RankedPhrase extends Keyphrase {
  /** Cosine to the cluster's centroid */
  readonly similarity: number
  /** The same, in standard deviations above this phrase's mean over all clusters of the layer */
  readonly lift: number
}

export interface RankPhrases {
  readonly keyphrases: readonly Keyphrase[]
  /** Unit vectors of the phrases [keyphrases × dims] row-major */
  readonly vectors: Float32Array
  /** Unit vectors of the layer's clusters [clusters × dims] row-major */
  readonly centroids: Float32Array
  /** Row of the cluster among them */
  readonly cluster: number
  readonly dims: number
  /** Of the model that made the vectors */
  readonly meaning: MeaningCosines
  readonly limit: number
}

/** Part of relevance against part of novelty: maximal marginal relevance (Carbonell and Goldstein, 1998). */
const RELEVANCE = 0.7
/** Two phrases of a cluster nearer than this say the same. */
const SAME_MEANING = 0.86

/**
 * Confidence that a phrase must have when only the pages that speak for it as a topic count as having it. Below lie words in passing
 * ("package", "interface", "match"); names of parts of the cluster begin at about 0.4 too.
 */
const LEAST_FIT = 0.4

/** The phrases that name the cluster best and differ from each other, best first; where none fits it, the best alone. */
export function rankPhrases(of: RankPhrases): RankedPhrase[] {
  const { keyphrases, vectors, dims } = of
  if (vectors.length !== keyphrases.length * dims) {
    throw new RangeError(`${vectors.length} values for ${keyphrases.length} phrases of ${dims} dimensions`)
  }
  const top = Math.max(...keyphrases.map((phrase) => phrase.score), Number.MIN_VALUE)
  const ranked = keyphrases.map((phrase, row) => {
    const { similarity, lift } = standOut(bundledCosines(cosinesTo(of.centroids, vectors, row, dims), of.meaning))(
      of.cluster,
    )
    const relevance =
      0.3 * Math.sqrt(phrase.score / top) +
      0.3 * sigmoid(1.3 * lift - 1.5) +
      0.4 * harmonic(phrase.support, phrase.precision)
    return { ...phrase, similarity, lift, relevance, row }
  })
  const fitting = ranked.filter((phrase) => labelConfidence({ ...phrase, coverage: phrase.support }) >= LEAST_FIT)
  if (fitting.length > 0) return diversified(fitting, of, of.limit)
  return diversified(ranked, of, Math.min(1, of.limit))
}

interface Scored extends RankedPhrase {
  readonly relevance: number
  readonly row: number
}

function diversified(
  scored: readonly Scored[],
  { vectors, dims, meaning }: RankPhrases,
  limit: number,
): RankedPhrase[] {
  const left = [...scored].sort((a, b) => b.relevance - a.relevance || (a.form < b.form ? -1 : 1))
  const nearest = new Map(left.map((phrase) => [phrase, 0]))
  const chosen: RankedPhrase[] = []
  while (left.length > 0 && chosen.length < limit) {
    let best = 0
    let bestValue = Number.NEGATIVE_INFINITY
    left.forEach((phrase, k) => {
      const value = RELEVANCE * phrase.relevance - (1 - RELEVANCE) * nearest.get(phrase)!
      if (value > bestValue) {
        bestValue = value
        best = k
      }
    })
    const [picked] = left.splice(best, 1)
    const { relevance: _, row, ...phrase } = picked!
    chosen.push(phrase)
    for (let k = left.length - 1; k >= 0; k--) {
      const other = left[k]!
      const cosine = bundledCosine(dot(vectors, other.row * dims, vectors, row * dims, dims), meaning)
      if (cosine >= SAME_MEANING || isVariant(other.form, phrase.form)) left.splice(k, 1)
      else nearest.set(other, Math.max(nearest.get(other)!, cosine))
    }
  }
  return chosen
}

/**
 * One holds all words of the other, inflections apart ("logging", "log level"; "copied", "fast copy"), or they share half of their words
 * and more than one: the second adds little.
 */
function isVariant(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  if (standsIn(short, long)) return true
  const [few, many] = [short.split(' ').map(stem), long.split(' ').map(stem)]
  const both = few.filter((word) => many.includes(word)).length
  // "remote sense support" and "sense support crop" are cut out of one longer title.
  return both === few.length || (both > 1 && 2 * both >= few.length + many.length - both)
}

/** Crude on purpose: it only decides what stands beside each other in one cluster. */
function stem(word: string): string {
  const cut = word.replace(/(?:ations?|ings?|ers?|ors?|ed|ions?|ment|able|e)$/, '')
  const base = cut.length >= 3 ? cut : word
  return base.replace(/([bdglmnprt])\1$/, '$1').replace(/i$/, 'y')
}

const harmonic = (a: number, b: number): number => (a + b === 0 ? 0 : (2 * a * b) / (a + b))
