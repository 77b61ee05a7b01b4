/**
 * Mann–Kendall: is there a monotonic trend? It is Kendall's tau between the values and their order in time.
 * p is two-sided: exact (Kendall 1970, the number of permutations with so few inversions) up to 33 values without ties,
 * else by the normal approximation with the variance corrected for ties, as scipy.stats.kendalltau does.
 */
export interface Significance {
  /** Kendall's tau-b; NaN when all values are equal */
  readonly tau: number
  /** NaN when all values are equal */
  readonly p: number
}

const largestExact = 33

/**
 * @param sorted the values by size
 * @param falling pairs of which the later value is the smaller one
 */
export function significanceOf(sorted: Float64Array, falling: number): Significance {
  const n = sorted.length
  const pairs = (n * (n - 1)) / 2
  const ties = tieGroups(sorted)
  const tied = ties.reduce((sum, k) => sum + (k * (k - 1)) / 2, 0)
  // Rising pairs minus falling ones
  const s = pairs - tied - 2 * falling
  if (n < 2 || tied === pairs) return { tau: Number.NaN, p: Number.NaN }
  const tau = s / Math.sqrt(pairs) / Math.sqrt(pairs - tied)
  if (ties.length === 0 && n <= largestExact) return { tau, p: exactP(n, (pairs - s) / 2) }
  const m = n * (n - 1)
  const variance = (m * (2 * n + 5) - ties.reduce((sum, k) => sum + k * (k - 1) * (2 * k + 5), 0)) / 18
  return { tau, p: erfc(Math.abs(s) / Math.sqrt(variance) / Math.SQRT2) }
}

/** Sizes of the groups of equal values, groups of one left out. */
function tieGroups(sorted: Float64Array): number[] {
  const groups: number[] = []
  for (let from = 0, to = 1; from < sorted.length; from = to++) {
    while (to < sorted.length && sorted[to] === sorted[from]) to++
    if (to - from > 1) groups.push(to - from)
  }
  return groups
}

/** Two-sided probability of a permutation of n with at most as few (or as many) inversions as `discordant`. */
function exactP(n: number, discordant: number): number {
  const pairs = (n * (n - 1)) / 2
  const few = Math.min(discordant, pairs - discordant)
  if (2 * few === pairs) return 1
  let known = atMost.get(n)
  if (!known) {
    known = inversionsAtMost(n)
    atMost.set(n, known)
  }
  return Math.min(1, 2 * known[few]!)
}

/** By n, up to `largestExact`: made when first asked for, 70 kB when all are. */
const atMost = new Map<number, Float64Array>()

/** [i]: probability that a permutation of n has i inversions or fewer, for i up to half of its pairs */
function inversionsAtMost(n: number): Float64Array {
  const most = (n * (n - 1)) >> 2
  let shares = new Float64Array(most + 1)
  shares[0] = 1
  for (let j = 2; j <= n; j++) {
    const next = new Float64Array(most + 1)
    let window = 0
    for (let i = 0; i <= most; i++) {
      window += shares[i]!
      if (i >= j) window -= shares[i - j]!
      next[i] = window / j
    }
    shares = next
  }
  for (let i = 1; i <= most; i++) shares[i] = shares[i]! + shares[i - 1]!
  return shares
}

/** Complementary error function for x ≥ 0: Maclaurin series below 2.5, continued fraction (Lentz) above. */
function erfc(x: number): number {
  if (x < 2.5) {
    let term = x
    let sum = x
    for (let k = 1; Math.abs(term) > 1e-17 * sum; k++) {
      term *= (-x * x) / k
      sum += term / (2 * k + 1)
      if (term === 0) break
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum
  }
  let fraction = 0
  for (let k = 60; k >= 1; k--) fraction = k / 2 / (x + fraction)
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction)
}
