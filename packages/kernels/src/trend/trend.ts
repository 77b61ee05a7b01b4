import { significanceOf } from './mann-kendall.ts'
import { deviationOfSorted, medianOfSorted } from './median.ts'
import { sortCounting } from './sort-counting.ts'
import { growScratch, medianSlope, type TrendScratch } from './theil-sen.ts'

/** What a series of runs says of one metric. Figures are null where too few runs have a value. */
export interface Trend {
  /** Runs that have a value */
  readonly n: number
  readonly mean: number | null
  readonly median: number | null
  /** Median absolute deviation, unscaled */
  readonly mad: number | null
  /** Theil–Sen: median of the slopes of all pairs, per run */
  readonly slope: number | null
  /** Kendall's tau of value against time */
  readonly tau: number | null
  /** Mann–Kendall, two-sided; null when all values are equal */
  readonly p_value: number | null
  readonly last: number | null
  /** What the runs before the last make one expect of it; null below `minBandRuns` of them */
  readonly band: { readonly low: number; readonly high: number; readonly inside: boolean } | null
  /** Whether there are enough runs to believe slope and p-value */
  readonly enough_data: boolean
}

const minTrendRuns = 8
const minBandRuns = 5
/** MAD × 1.4826 estimates a normal distribution's standard deviation; three of them on each side. */
const bandWidth = 3 * 1.4826
/** Half the band is never narrower than this share of the median: runs that agree to the digit would flag any change. */
const leastHalfBand = 0.01

const noTrend: Trend = {
  n: 0,
  mean: null,
  median: null,
  mad: null,
  slope: null,
  tau: null,
  p_value: null,
  last: null,
  band: null,
  enough_data: false,
}

/**
 * @param values one for each run, oldest first; NaN where the run has none
 * @param scratch reused from metric to metric
 */
export function trendOf(values: Float64Array, scratch: TrendScratch): Trend {
  const runs = new Float64Array(values.length)
  const y = new Float64Array(values.length)
  let n = 0
  for (let run = 0; run < values.length; run++) {
    if (Number.isNaN(values[run])) continue
    runs[n] = run
    y[n++] = values[run]!
  }
  if (n === 0) return noTrend
  return trendOfPoints(runs.subarray(0, n), y.subarray(0, n), orNull(values.at(-1)!), scratch)
}

function trendOfPoints(runs: Float64Array, y: Float64Array, last: number | null, scratch: TrendScratch): Trend {
  const n = y.length
  growScratch(scratch, n)
  const sorted = y.slice()
  const { tau, p } = significanceOf(sorted, sortCounting(sorted, scratch.order, n, scratch.spare))
  const middle = medianOfSorted(sorted)
  let sum = 0
  for (let i = 0; i < n; i++) sum += y[i]!
  return {
    n,
    mean: sum / n,
    median: middle,
    mad: deviationOfSorted(sorted, middle),
    slope: orNull(medianSlope(runs, y, scratch)),
    tau: orNull(tau),
    p_value: orNull(p),
    last,
    band: last === null ? null : bandOf(without(sorted, last), last),
    enough_data: n >= minTrendRuns,
  }
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)

/** The values without one of these. */
function without(sorted: Float64Array, value: number): Float64Array {
  const at = sorted.indexOf(value)
  const others = new Float64Array(sorted.length - 1)
  others.set(sorted.subarray(0, at))
  others.set(sorted.subarray(at + 1), at)
  return others
}

/** @param before what the runs before the last have, by size */
function bandOf(before: Float64Array, last: number): Trend['band'] {
  if (before.length < minBandRuns) return null
  const middle = medianOfSorted(before)
  const half = Math.max(bandWidth * deviationOfSorted(before, middle), leastHalfBand * Math.abs(middle))
  return { low: middle - half, high: middle + half, inside: Math.abs(last - middle) <= half }
}
