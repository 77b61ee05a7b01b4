import { largestOf, medianInPlace, selectInPlace } from './median.ts'
import { sortCounting } from './sort-counting.ts'

/*
 * The median slope of all pairs without looking at all pairs (after Matoušek 1991, "Randomized optimal algorithm for slope selection"): a
 * sample of them gives two bounds, low and high. A pair's slope is below low where y − low·x puts its points the other way round, which a
 * sort counts; the pairs between the bounds are those that sorting on by y − high·x exchanges, an eighth of all. The slopes of these are
 * worked out as they would be for all, so the median is the same to the last bit.
 */

/** Working memory of a trend, for series of any length; grows as it must. */
export interface TrendScratch {
  slopes: Float64Array
  keys: Float64Array
  order: Int32Array
  spare: { keys: Float64Array; order: Int32Array }
  readonly sample: Float64Array
}

const sampleSize = 512
/** Below so many pairs a sample saves nothing */
const fewPairs = 2 * sampleSize
/** How far from its middle the sample is cut, in ranks: three standard deviations of where the median of all lies in it */
const cut = Math.ceil(3 * Math.sqrt(sampleSize / 4))

export const createTrendScratch = (): TrendScratch => ({
  slopes: new Float64Array(0),
  keys: new Float64Array(0),
  order: new Int32Array(0),
  spare: { keys: new Float64Array(0), order: new Int32Array(0) },
  sample: new Float64Array(sampleSize),
})

/** Makes room for so many points. */
export function growScratch(scratch: TrendScratch, points: number): void {
  if (scratch.keys.length >= points) return
  scratch.slopes = new Float64Array((points * (points - 1)) / 2)
  scratch.keys = new Float64Array(points)
  scratch.order = new Int32Array(points)
  scratch.spare = { keys: new Float64Array(points), order: new Int32Array(points) }
}

/**
 * Theil–Sen: median of the slopes of all pairs, in units of y for one of x; NaN below two points.
 * @param x ascending, no two alike
 * @param y one for each x
 */
export function medianSlope(x: Float64Array, y: Float64Array, scratch: TrendScratch): number {
  if (y.length > 1 && y.every((value) => value === y[0])) return 0
  growScratch(scratch, y.length)
  if ((y.length * (y.length - 1)) / 2 > fewPairs) {
    const slope = selectBetween(x, y, boundsOf(x, y, scratch.sample), scratch)
    if (slope !== undefined) return slope
  }
  return medianInPlace(scratch.slopes, allSlopes(x, y, scratch.slopes))
}

function allSlopes(x: Float64Array, y: Float64Array, slopes: Float64Array): number {
  let kept = 0
  for (let i = 0; i < y.length; i++)
    for (let j = i + 1; j < y.length; j++) slopes[kept++] = (y[j]! - y[i]!) / (x[j]! - x[i]!)
  return kept
}

interface Bounds {
  readonly low: number
  readonly high: number
}

/** Two slopes between which the median of all most likely lies. The pairs are drawn with a fixed seed: the same series, the same bounds. */
function boundsOf(x: Float64Array, y: Float64Array, sample: Float64Array): Bounds {
  let state = 0x2545f491
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return Math.floor((state >>> 8) * 2 ** -24 * below)
  }
  for (let at = 0; at < sampleSize; at++) {
    const i = draw(y.length)
    const other = draw(y.length - 1)
    const j = other < i ? other : other + 1
    sample[at] = (y[j]! - y[i]!) / (x[j]! - x[i]!)
  }
  const middle = sampleSize >> 1
  return {
    low: selectInPlace(sample, sampleSize, middle - cut),
    high: selectInPlace(sample, sampleSize, middle + cut),
  }
}

/**
 * The median slope, if it lies between the bounds.
 *
 * Invariant: each pair is counted once, as below, between or above, but one whose slope is within `doubt` of a bound may be counted on that
 * bound's other side by rounding. So the bounds are set `2 · doubt` further apart than sampled, and what is selected must be `doubt` inside.
 */
function selectBetween(x: Float64Array, y: Float64Array, bounds: Bounds, scratch: TrendScratch): number | undefined {
  const doubt = doubtOf(x, y, bounds)
  // Not finite, or so small that sums may lose all their digits
  if (!(doubt > 1e-290 && doubt < Number.POSITIVE_INFINITY)) return undefined
  const low = bounds.low - 2 * doubt
  const high = bounds.high + 2 * doubt
  const { keys, order, slopes } = scratch
  const n = y.length
  const pairs = (n * (n - 1)) / 2
  for (let i = 0; i < n; i++) {
    keys[i] = y[i]! - low * x[i]!
    order[i] = i
  }
  const below = sortCounting(keys, order, n, scratch.spare)
  for (let at = 0; at < n; at++) keys[at] = y[order[at]!]! - high * x[order[at]!]!
  const between = exchangedSlopes(x, y, scratch)
  const at = (pairs >> 1) - below
  const lowest = pairs % 2 === 1 ? at : at - 1
  if (lowest < 0 || at >= between) return undefined
  const upper = selectInPlace(slopes, between, at)
  // After the selection every slope left of the middle is at most the upper one.
  const lower = lowest === at ? upper : largestOf(slopes, at)
  if (!(lower >= low + doubt && upper <= high - doubt)) return undefined
  return lowest === at ? upper : (lower + upper) / 2
}

/** How far from a bound a slope may lie and still be counted on its wrong side: sixteen times the rounding errors that add up there. */
function doubtOf(x: Float64Array, y: Float64Array, { low, high }: Bounds): number {
  let largestY = 0
  let smallestGap = Number.POSITIVE_INFINITY
  for (let i = 0; i < y.length; i++) {
    largestY = Math.max(largestY, Math.abs(y[i]!))
    if (i > 0) smallestGap = Math.min(smallestGap, x[i]! - x[i - 1]!)
  }
  const largestX = Math.max(Math.abs(x[0]!), Math.abs(x.at(-1)!))
  const steepest = Math.max(Math.abs(low), Math.abs(high))
  return 2 ** -47 * ((steepest * largestX + largestY) / smallestGap + steepest)
}

/** Sorts by insertion, and writes the slope of each pair that is exchanged. @returns how many */
function exchangedSlopes(x: Float64Array, y: Float64Array, { keys, order, slopes }: TrendScratch): number {
  let exchanged = 0
  for (let q = 1; q < y.length; q++) {
    const key = keys[q]!
    const index = order[q]!
    const xq = x[index]!
    const yq = y[index]!
    let p = q - 1
    for (; p >= 0 && keys[p]! > key; p--) {
      const other = order[p]!
      slopes[exchanged++] = (yq - y[other]!) / (xq - x[other]!)
      keys[p + 1] = keys[p]!
      order[p + 1] = other
    }
    keys[p + 1] = key
    order[p + 1] = index
  }
  return exchanged
}
