import { medianInPlace, middleInPlace, selectInPlace } from './median.ts'

/*
 * Theil–Sen and Mann–Kendall look at the same pairs of runs, so one pass serves both. The median slope is found without keeping all slopes:
 * a sample of them gives two bounds that hold it in all but three of a thousand series; the pass counts the slopes below and keeps those
 * between, an eighth of them. Where the bounds miss it, all are kept.
 */

/** Working memory of `pairsOf`, for series of any length. */
export interface TrendScratch {
  slopes: Float64Array
  readonly sample: Float64Array
}

const sampleSize = 512
/** Below so many pairs a sample saves nothing */
const fewPairs = 2 * sampleSize
/** How far from its middle the sample is cut, in ranks: three standard deviations of where the median of all lies in it */
const cut = Math.ceil(3 * Math.sqrt(sampleSize / 4))

export const createTrendScratch = (): TrendScratch => ({
  slopes: new Float64Array(0),
  sample: new Float64Array(sampleSize),
})

export interface Pairs {
  /** Median of the slopes of all pairs, in units of y for one of x. NaN below two points */
  readonly slope: number
  /** Rising pairs minus falling pairs */
  readonly s: number
}

/**
 * @param x ascending, no two alike
 * @param y one for each x
 */
export function pairsOf(x: Float64Array, y: Float64Array, scratch: TrendScratch): Pairs {
  const pairs = (y.length * (y.length - 1)) / 2
  if (scratch.slopes.length < pairs) scratch.slopes = new Float64Array(pairs)
  if (pairs > fewPairs) {
    const [low, high] = boundsOf(x, y, scratch.sample)
    const between = pass(x, y, low, high, scratch.slopes)
    const held = between.below <= (pairs - 1) >> 1 && pairs >> 1 < between.below + between.kept
    if (held) return { slope: middleInPlace(scratch.slopes, between.kept, pairs, between.below), s: between.s }
  }
  const all = pass(x, y, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, scratch.slopes)
  return { slope: medianInPlace(scratch.slopes, all.kept), s: all.s }
}

/** Two slopes between which the median of all most likely lies. The pairs are drawn with a fixed seed: the same series, the same bounds. */
function boundsOf(x: Float64Array, y: Float64Array, sample: Float64Array): readonly [low: number, high: number] {
  let state = 0x2545f491
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let at = 0; at < sampleSize; at++) {
    const i = draw(y.length)
    const j = (i + 1 + draw(y.length - 1)) % y.length
    sample[at] = ((y[j] as number) - (y[i] as number)) / ((x[j] as number) - (x[i] as number))
  }
  const middle = sampleSize >> 1
  return [selectInPlace(sample, sampleSize, middle - cut), selectInPlace(sample, sampleSize, middle + cut)]
}

interface Pass {
  /** Slopes below `low` */
  readonly below: number
  /** Slopes from `low` to `high`, at the front of `slopes` */
  readonly kept: number
  readonly s: number
}

function pass(x: Float64Array, y: Float64Array, low: number, high: number, slopes: Float64Array): Pass {
  const n = y.length
  let below = 0
  let kept = 0
  let s = 0
  for (let i = 0; i < n; i++) {
    const xi = x[i]!
    const yi = y[i]!
    for (let j = i + 1; j < n; j++) {
      const rise = y[j]! - yi
      const slope = rise / (x[j]! - xi)
      s += Number(rise > 0) - Number(rise < 0)
      // Written always and counted without branches, which on what is as good as random cost more than the stores.
      slopes[kept] = slope
      const isBelow = Number(slope < low)
      below += isBelow
      kept += (isBelow ^ 1) & Number(slope <= high)
    }
  }
  return { below, kept, s }
}
