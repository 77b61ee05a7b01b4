/**
 * How well two partitions of the same pages agree. Every label is a class of its own, also −1: a caller who wants to leave
 * pages outside every cluster out of the comparison passes the other rows only (see `rowsInClusters`).
 */

export type Agreement = {
  /** Adjusted mutual information, arithmetic mean as the normaliser (Vinh, Epps & Bailey 2010) */
  ami: number
  /** Adjusted Rand index (Hubert & Arabie 1985) */
  ari: number
  /** Share of the pages whose found cluster has their true class as its commonest */
  purity: number
}

type Table = {
  pages: number
  truthSizes: Float64Array
  foundSizes: Float64Array
  /** Cells that are not empty: truth row, found column, count */
  cells: { row: number; column: number; count: number }[]
}

/** Compares `found` with `truth`, both one integer label for each page. Equal to scikit-learn's figures. */
export function agreement(truth: Int32Array, found: Int32Array): Agreement {
  if (truth.length !== found.length) {
    throw new RangeError(`${found.length} found labels for ${truth.length} true ones, expected as many`)
  }
  if (truth.length === 0) return { ami: 1, ari: 1, purity: 1 }
  const table = contingency(truth, found)
  return { ami: adjustedMutualInformation(table), ari: adjustedRand(table), purity: purity(table) }
}

/** Rows of `labels` that lie in a cluster (label 0 or more). */
export function rowsInClusters(labels: Int32Array): Int32Array {
  return Int32Array.from({ length: labels.length }, (_, row) => row).filter((row) => labels[row]! >= 0)
}

function contingency(truth: Int32Array, found: Int32Array): Table {
  const rows = new Map<number, number>()
  const columns = new Map<number, number>()
  const counts = new Map<number, number>()
  const width = found.length + 1
  for (let i = 0; i < truth.length; i++) {
    const row = numberOf(rows, truth[i]!)
    const column = numberOf(columns, found[i]!)
    const key = row * width + column
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const truthSizes = new Float64Array(rows.size)
  const foundSizes = new Float64Array(columns.size)
  const cells = [...counts].map(([key, count]) => ({ row: Math.floor(key / width), column: key % width, count }))
  for (const { row, column, count } of cells) {
    truthSizes[row]! += count
    foundSizes[column]! += count
  }
  return { pages: truth.length, truthSizes, foundSizes, cells }
}

function numberOf(known: Map<number, number>, label: number): number {
  const number = known.get(label) ?? known.size
  known.set(label, number)
  return number
}

function adjustedMutualInformation(table: Table): number {
  const { pages, truthSizes, foundSizes, cells } = table
  if (truthSizes.length === foundSizes.length && (truthSizes.length === 1 || truthSizes.length === pages)) return 1
  let mutual = 0
  for (const { row, column, count } of cells) {
    mutual += (count / pages) * Math.log((count * pages) / (truthSizes[row]! * foundSizes[column]!))
  }
  const expected = expectedMutualInformation(table)
  const normaliser = (entropy(truthSizes, pages) + entropy(foundSizes, pages)) / 2
  const room = normaliser - expected
  return (mutual - expected) / (room < 0 ? Math.min(room, -Number.EPSILON) : Math.max(room, Number.EPSILON))
}

function entropy(sizes: Float64Array, pages: number): number {
  let sum = 0
  for (const size of sizes) sum -= (size / pages) * Math.log(size / pages)
  return sum
}

/** Under the hypergeometric model; clusters of equal size share one sum, which keeps thousands of clusters cheap. */
function expectedMutualInformation({ pages, truthSizes, foundSizes }: Table): number {
  const logFactorial = new Float64Array(pages + 1)
  for (let i = 2; i <= pages; i++) logFactorial[i] = logFactorial[i - 1]! + Math.log(i)
  let expected = 0
  for (const [a, timesA] of countSizes(truthSizes)) {
    for (const [b, timesB] of countSizes(foundSizes)) {
      const fixed =
        logFactorial[a]! + logFactorial[b]! + logFactorial[pages - a]! + logFactorial[pages - b]! - logFactorial[pages]!
      let sum = 0
      for (let both = Math.max(1, a + b - pages); both <= Math.min(a, b); both++) {
        const logChance =
          fixed -
          logFactorial[both]! -
          logFactorial[a - both]! -
          logFactorial[b - both]! -
          logFactorial[pages - a - b + both]!
        sum += (both / pages) * Math.log((pages * both) / (a * b)) * Math.exp(logChance)
      }
      expected += timesA * timesB * sum
    }
  }
  return expected
}

function countSizes(sizes: Float64Array): Map<number, number> {
  const counts = new Map<number, number>()
  for (const size of sizes) counts.set(size, (counts.get(size) ?? 0) + 1)
  return counts
}

function adjustedRand({ pages, truthSizes, foundSizes, cells }: Table): number {
  const pairs = (count: number) => (count * (count - 1)) / 2
  let together = 0
  for (const { count } of cells) together += pairs(count)
  let inTruth = 0
  for (const size of truthSizes) inTruth += pairs(size)
  let inFound = 0
  for (const size of foundSizes) inFound += pairs(size)
  const all = pairs(pages)
  const expected = all === 0 ? 0 : (inTruth * inFound) / all
  const most = (inTruth + inFound) / 2
  return most === expected ? 1 : (together - expected) / (most - expected)
}

function purity({ pages, foundSizes, cells }: Table): number {
  const most = new Float64Array(foundSizes.length)
  for (const { column, count } of cells) most[column] = Math.max(most[column]!, count)
  let sum = 0
  for (const count of most) sum += count
  return sum / pages
}
