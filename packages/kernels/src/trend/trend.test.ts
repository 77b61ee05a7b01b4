import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { significanceOf } from './mann-kendall.ts'
import { deviationOfSorted, medianInPlace, medianOfSorted } from './median.ts'
import known from './scipy-vectors.json' with { type: 'json' }
import { sortCounting } from './sort-counting.ts'
import { createTrendScratch, growScratch, medianSlope } from './theil-sen.ts'
import { trendOf as trendOfNumbers } from './trend.ts'

const scratch = createTrendScratch()
const trendOf = (values: readonly (number | null)[]) =>
  trendOfNumbers(
    Float64Array.from(values, (value) => value ?? Number.NaN),
    scratch,
  )

const close = (actual: number | null, expected: number) => {
  expect(actual).not.toBeNull()
  expect(Math.abs((actual as number) - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)))
}

describe('trends', () => {
  it.each(known.vectors)("agrees with scipy on '$name'", (vector) => {
    const trend = trendOf(vector.values)
    for (const figure of ['mean', 'median', 'mad', 'slope', 'tau'] as const) close(trend[figure], vector[figure])
    expect(Math.abs((trend.p_value as number) / vector.p_value - 1)).toBeLessThan(1e-9)
  })

  it('selects the median that sorting gives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 60 }),
        (values) => {
          const sorted = [...values].sort((a, b) => a - b)
          const middle = sorted.length >> 1
          const expected = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
          expect(medianInPlace(Float64Array.from(values))).toBe(expected)
          expect(medianOfSorted(Float64Array.from(sorted))).toBe(expected)
          const deviations = Float64Array.from(values, (value) => Math.abs(value - expected))
          expect(deviationOfSorted(Float64Array.from(sorted), expected)).toBe(medianInPlace(deviations))
        },
      ),
    )
  })

  /** Wandering, all but equal, equal, huge beside tiny, of few steps: each as often. */
  const value = fc.oneof(
    fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(0, 1, 1 + 2 ** -52, 1e-300, 1e300, -1e300),
  )
  const steady = fc
    .tuple(fc.double({ noNaN: true, min: -3, max: 3 }), fc.constantFrom(0, 1e-12, 0.1))
    .map(([slope, noise]) => Array.from({ length: 80 }, (_, i) => 5 + slope * i + noise * Math.sin(i * i)))
  const series = fc.oneof(
    fc.array(value, { minLength: 2, maxLength: 120 }),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 50, maxLength: 120 }),
    fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 50, maxLength: 120 }),
    steady,
  )

  it('finds the slope that sorting the slopes of all pairs gives, to the last bit, whatever the distances', () => {
    fc.assert(
      fc.property(series, fc.infiniteStream(fc.constantFrom(1, 1, 1, 2, 7)), (values, gaps) => {
        let at = 0
        const x = Float64Array.from(values, () => {
          at += gaps.next().value as number
          return at
        })
        const slopes: number[] = []
        for (const [j, later] of values.entries())
          for (let i = 0; i < j; i++) slopes.push((later - (values[i] as number)) / (x[j]! - x[i]!))
        // 0 and −0 are one order
        expect(medianSlope(x, Float64Array.from(values), scratch) + 0).toBe(
          medianInPlace(Float64Array.from(slopes)) + 0,
        )
      }),
      { numRuns: 400 },
    )
  })

  it('counts rising and falling pairs as looking at each does', () => {
    fc.assert(
      fc.property(series, (values) => {
        let rising = 0
        let falling = 0
        for (const [j, later] of values.entries())
          for (let i = 0; i < j; i++) {
            if (later > (values[i] as number)) rising++
            if (later < (values[i] as number)) falling++
          }
        const n = values.length
        growScratch(scratch, n)
        const keys = Float64Array.from(values)
        const order = Int32Array.from(values.keys())
        expect(sortCounting(keys, order, n, scratch.spare)).toBe(falling)
        expect([...keys]).toEqual([...values].sort((a, b) => a - b))
        expect([...order].map((index) => values[index])).toEqual([...keys])
        const { tau } = significanceOf(keys, falling)
        const tied = (n * (n - 1)) / 2 - rising - falling
        const expected = (rising - falling) / Math.sqrt((n * (n - 1)) / 2) / Math.sqrt((n * (n - 1)) / 2 - tied)
        if (rising + falling === 0) expect(tau).toBeNaN()
        else expect(tau).toBe(expected)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps the distance in runs where a run has no value', () => {
    expect(medianSlope(Float64Array.of(0, 3), Float64Array.of(1, 7), scratch)).toBe(2)
    expect(trendOf([1, null, null, 7]).slope).toBe(2)
  })

  it('says that equal values have no significance rather than a wrong one', () => {
    expect(trendOf([5, 5, 5, 5])).toMatchObject({ slope: 0, tau: null, p_value: null, mad: 0 })
  })

  it('puts the last run against the band of those before it', () => {
    const before = [10, 11, 9, 10, 10.5, 9.5]
    expect(trendOf([...before, 12]).band).toMatchObject({ inside: true })
    expect(trendOf([...before, 14]).band).toMatchObject({ inside: false })
    expect(trendOf([...before, null]).band).toBeNull()
    expect(trendOf([10, 10, 10, 10, 10, 10.05]).band).toMatchObject({ inside: true })
    expect(trendOf([10, 10, 10, 10, 10, 10.2]).band).toMatchObject({ inside: false })
    expect(trendOf([10, 10, 12]).band).toBeNull()
  })

  it('has no figure for a metric that no run has', () => {
    expect(trendOf([null, null])).toMatchObject({ n: 0, mean: null, median: null, enough_data: false })
    expect(trendOf([])).toMatchObject({ n: 0, last: null })
  })
})
