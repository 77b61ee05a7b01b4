import type { Distribution, Histogram } from '@tagloom/contracts'

/** Percentile of sorted values by linear interpolation between the closest ranks (numpy's default). */
function percentile(sorted: ArrayLike<number>, share: number): number | null {
  if (sorted.length === 0) return null
  const rank = share * (sorted.length - 1)
  const below = Math.floor(rank)
  const low = sorted[below] as number
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number
  return low + (high - low) * (rank - below)
}

export function distributionOf(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort()
  const count = sorted.length
  return {
    count,
    mean: count ? sum(sorted) / count : null,
    min: percentile(sorted, 0),
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
  }
}

/** Sorted first, so that the order in which values came leaves no trace in the last digits. */
const sum = (sorted: Float64Array): number => sorted.reduce((total, value) => total + value, 0)

/** Sum that does not depend on the order of its terms. */
export const steadySum = (values: readonly number[]): number => sum(Float64Array.from(values).sort())

/** @param bounds upper bounds, inclusive, ascending */
export function histogramOf(
  values: Iterable<readonly [value: number, weight: number]>,
  bounds: readonly number[],
): Histogram {
  const counts = new Array<number>(bounds.length + 1).fill(0)
  for (const [value, weight] of values) {
    const at = bounds.findIndex((bound) => value <= bound)
    counts[at === -1 ? bounds.length : at]! += weight
  }
  return { bounds: [...bounds], counts }
}

/** The distribution of values that are given as value → how often. */
export function weightedDistribution(weights: ReadonlyMap<number, number>): Distribution {
  const entries = [...weights].filter(([, weight]) => weight > 0).sort(([a], [b]) => a - b)
  const count = entries.reduce((total, [, weight]) => total + weight, 0)
  const at = (rank: number): number => {
    let seen = 0
    for (const [value, weight] of entries) {
      seen += weight
      if (rank < seen) return value
    }
    return entries.at(-1)?.[0] as number
  }
  const share = (of: number): number | null => {
    if (count === 0) return null
    const rank = of * (count - 1)
    const below = Math.floor(rank)
    return at(below) + (at(Math.min(below + 1, count - 1)) - at(below)) * (rank - below)
  }
  const total = entries.reduce((sumSoFar, [value, weight]) => sumSoFar + value * weight, 0)
  return {
    count,
    mean: count ? total / count : null,
    min: share(0),
    p50: share(0.5),
    p90: share(0.9),
    p95: share(0.95),
    p99: share(0.99),
    max: share(1),
  }
}
