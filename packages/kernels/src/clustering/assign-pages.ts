import type { Multiply } from '../multiply.ts'

/** Clusters that pages can be given to without a run. */
export type AssignableClusters = {
  /** [clusters × dims], unit length */
  centroids: Float32Array
  /** Similarity that nine of ten of a cluster's own pages reach */
  joinThresholds: Float32Array
}

export type AssignedPages = {
  /** Cluster of each page, −1 where none is near enough */
  clusters: Int32Array
  /** Similarity to the centroid of that cluster, or of the nearest; −1 without clusters */
  similarities: Float32Array
}

/** Gives each page, [pages × dims] of unit length, to the nearest of the clusters whose threshold it reaches. */
export function assignPages(vectors: Float32Array, dims: number, given: AssignableClusters): AssignedPages {
  const pages = vectors.length / dims
  const count = given.joinThresholds.length
  const clusters = new Int32Array(pages)
  const similarities = new Float32Array(pages)
  const row = new Float32Array(count)
  for (let page = 0; page < pages; page++) {
    for (let cluster = 0; cluster < count; cluster++) {
      let similarity = 0
      for (let j = 0, c = cluster * dims, p = page * dims; j < dims; j++)
        similarity += given.centroids[c + j]! * vectors[p + j]!
      row[cluster] = similarity
    }
    const taken = nearestThatTakes(row, 0, given.joinThresholds)
    clusters[page] = taken
    similarities[page] = taken >= 0 ? row[taken]! : row.reduce((most, value) => Math.max(most, value), -1)
  }
  return { clusters, similarities }
}

function nearestThatTakes(similarities: Float32Array, first: number, thresholds: Float32Array): number {
  let taken = -1
  let most = Number.NEGATIVE_INFINITY
  for (let cluster = 0; cluster < thresholds.length; cluster++) {
    const similarity = similarities[first + cluster]!
    if (similarity < thresholds[cluster]! || similarity <= most) continue
    taken = cluster
    most = similarity
  }
  return taken
}

const mostSampled = 20_000
const rowsAtOnce = 2_048

/**
 * Share of the given pages, [pages × dims] of unit length, that no cluster takes; above 20,000 over an even sample. Of the pages that the
 * clusters were made of it is what new pages of the same kind are measured against.
 */
export async function leftOutShare(
  vectors: Float32Array,
  dims: number,
  { centroids, joinThresholds }: AssignableClusters,
  multiply: Multiply,
): Promise<number> {
  const pages = vectors.length / dims
  if (pages === 0 || joinThresholds.length === 0) return pages === 0 ? 0 : 1
  const sampled = Math.min(pages, mostSampled)
  let leftOut = 0
  for (let first = 0; first < sampled; first += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, sampled - first)
    const block = new Float32Array(rows * dims)
    for (let i = 0; i < rows; i++) {
      const page = Math.floor(((first + i) * pages) / sampled)
      block.set(vectors.subarray(page * dims, (page + 1) * dims), i * dims)
    }
    const similarities = await multiply(block, centroids, dims)
    for (let i = 0; i < rows; i++)
      if (nearestThatTakes(similarities, i * joinThresholds.length, joinThresholds) < 0) leftOut++
  }
  return leftOut / sampled
}

export type Drift = {
  /** Share left out over the share expected; null without pages */
  drift: number | null
  /** The run no longer fits what the wiki has become */
  rerunDue: boolean
}

/** Below this share a run's own figure says nothing: a page more or less would double the drift of a small wiki. */
const leastExpected = 0.05
const dueFrom = 2
const fewestPages = 20

/**
 * How unlike the pages of the run new pages are. A run is due when at least 20 pages are new, twice as many as expected fit no cluster,
 * and the lower bound of Wilson's interval (1927, 95 %) is above what is expected, so that a few odd pages call for nothing.
 */
export function driftOf(of: { pages: number; leftOut: number; expectedShare: number }): Drift {
  if (of.pages === 0) return { drift: null, rerunDue: false }
  const expected = Math.max(leastExpected, of.expectedShare)
  const drift = of.leftOut / of.pages / expected
  const rerunDue = of.pages >= fewestPages && drift >= dueFrom && wilsonLower(of.leftOut, of.pages) > expected
  return { drift, rerunDue }
}

function wilsonLower(hits: number, of: number): number {
  const z = 1.96
  const share = hits / of
  const centre = share + (z * z) / (2 * of)
  const spread = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))
  return (centre - spread) / (1 + (z * z) / of)
}
