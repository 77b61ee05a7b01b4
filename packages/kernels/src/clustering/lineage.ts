import { assign, type Pair } from './assignment.ts'

/** Clusters of one layer of one run. */
export type RunLayer = {
  /** Number of each cluster's lineage, or of the cluster where it has none yet */
  ids: readonly string[]
  /** [clusters × dims], unit length */
  centroids: Float32Array
  /** Page id to cluster, for the pages in clusters */
  clusterOfPage: ReadonlyMap<number, number>
}

export type Lineage = {
  id: string
  event: 'continued' | 'born' | 'split' | 'merged'
  /** Lineages of the previous run that it came from */
  from: string[]
}

export type LineageMatch = {
  lineages: Lineage[]
  /** Lineages of the previous run that end, without going into another */
  died: string[]
  /** Pages of both runs, and those of them that are in another lineage now, or were in one or are in one only */
  pagesInBoth: number
  pagesChanged: number
}

/** Least Jaccard index (over the pages of both runs) at which a cluster is the same topic as before. */
const sameTopic = 0.25
/** Share of a cluster's pages that says where it came from or went. */
const mostPages = 0.5
/** Similarity of centroids at which clusters without common pages are the same topic. */
const sameCentroid = 0.9

/**
 * Gives the clusters of a run the lineages of the previous run's. Pairs are valued by the Jaccard index of their common pages, by
 * their centroids where they have none to compare, and assigned so that the sum is the most. A pair that is assigned is continued, or
 * merged where most pages of another cluster came to it; a cluster that is left is split from the one that most of its pages come
 * from, or born. `pages` are the ids of all pages of both runs.
 */
export function matchLineages(
  previous: RunLayer,
  current: RunLayer,
  dims: number,
  pages: { previous: ReadonlySet<number>; current: Iterable<number> },
): LineageMatch {
  const table = overlaps(previous, current, pages)
  const pairs = [...valuedPairs(table), ...byCentroid(previous, current, dims, table)]
  const assigned = new Map(assign(pairs).map((pair) => [pair.row, pair.column]))
  const taken = new Set(assigned.values())
  const goes = destinations(table)
  const joins = Map.groupBy(
    [...previous.ids.keys()].filter((old) => !taken.has(old)),
    (old) => goes[old]!,
  )
  const lineages = current.ids.map((id, cluster): Lineage => {
    const own = assigned.get(cluster)
    if (own === undefined) {
      const origin = mainOrigin(table, cluster)
      return origin < 0 ? { id, event: 'born', from: [] } : { id, event: 'split', from: [previous.ids[origin]!] }
    }
    const joined = joins.get(cluster) ?? []
    const from = [own, ...joined].map((old) => previous.ids[old]!)
    return { id: previous.ids[own]!, event: joined.length > 0 ? 'merged' : 'continued', from }
  })
  const died = previous.ids.filter((_, old) => !taken.has(old) && !assigned.has(goes[old]!))
  return { lineages, died, ...countChanged(previous, current, lineages, pages) }
}

type Overlaps = {
  /** Common pages by current cluster, then previous cluster */
  common: Map<number, number>[]
  currentSizes: Float64Array
  previousSizes: Float64Array
}

/** Sizes count only pages that both runs have: a page that is new or gone speaks for no match and against none. */
function overlaps(
  previous: RunLayer,
  current: RunLayer,
  pages: { previous: ReadonlySet<number>; current: Iterable<number> },
): Overlaps {
  const common = current.ids.map(() => new Map<number, number>())
  const currentSizes = new Float64Array(current.ids.length)
  const previousSizes = new Float64Array(previous.ids.length)
  for (const page of pages.current) {
    if (!pages.previous.has(page)) continue
    const now = current.clusterOfPage.get(page)
    const before = previous.clusterOfPage.get(page)
    if (now !== undefined) currentSizes[now]!++
    if (before !== undefined) previousSizes[before]!++
    if (now !== undefined && before !== undefined) common[now]!.set(before, (common[now]!.get(before) ?? 0) + 1)
  }
  return { common, currentSizes, previousSizes }
}

function valuedPairs({ common, currentSizes, previousSizes }: Overlaps): Pair[] {
  return common.flatMap((row, now) =>
    [...row].flatMap(([before, pages]) => {
      const value = pages / (currentSizes[now]! + previousSizes[before]! - pages)
      return value >= sameTopic ? [{ row: now, column: before, value }] : []
    }),
  )
}

function byCentroid(previous: RunLayer, current: RunLayer, dims: number, table: Overlaps): Pair[] {
  const pairs: Pair[] = []
  const all = [...previous.ids.keys()]
  const withoutCommon = all.filter((before) => table.previousSizes[before] === 0)
  for (let now = 0; now < current.ids.length; now++) {
    for (const before of table.currentSizes[now] === 0 ? all : withoutCommon) {
      let cosine = 0
      for (let j = 0; j < dims; j++)
        cosine += current.centroids[now * dims + j]! * previous.centroids[before * dims + j]!
      // Below every value by common pages, so that it only decides what these leave open.
      if (cosine >= sameCentroid) pairs.push({ row: now, column: before, value: cosine * sameTopic * 0.5 })
    }
  }
  return pairs
}

function mainOrigin({ common, currentSizes }: Overlaps, now: number): number {
  for (const [before, pages] of common[now]!) if (pages > mostPages * currentSizes[now]!) return before
  return -1
}

/** The cluster that most pages of each previous one are in, −1 where none is. */
function destinations({ common, previousSizes }: Overlaps): Int32Array {
  const found = new Int32Array(previousSizes.length).fill(-1)
  for (const [now, row] of common.entries())
    for (const [before, pages] of row) if (pages > mostPages * previousSizes[before]!) found[before] = now
  return found
}

function countChanged(
  previous: RunLayer,
  current: RunLayer,
  lineages: readonly Lineage[],
  pages: { previous: ReadonlySet<number>; current: Iterable<number> },
): { pagesInBoth: number; pagesChanged: number } {
  let pagesInBoth = 0
  let pagesChanged = 0
  for (const page of pages.current) {
    if (!pages.previous.has(page)) continue
    pagesInBoth++
    const now = current.clusterOfPage.get(page)
    const before = previous.clusterOfPage.get(page)
    const idNow = now === undefined ? undefined : lineages[now]!.id
    const idBefore = before === undefined ? undefined : previous.ids[before]
    if (idNow !== idBefore) pagesChanged++
  }
  return { pagesInBoth, pagesChanged }
}
