import {
  type Database,
  listJobPageIds,
  listUnchangedPageIds,
  readFoundLayers,
  readMembers,
  readStoredClusters,
  type StoredCluster,
} from '@tagloom/database'
import type { FoundLayer } from '@tagloom/kernels'

/** The run before, as arrays that move between threads. */
export interface PreviousRun {
  readonly pageIds: Float64Array
  readonly layers: readonly PreviousLayer[]
}

export interface PreviousLayer {
  /** Distance from the chosen layer, finer ones below 0 */
  readonly fromChosen: number
  readonly lineageIds: readonly string[]
  /** [clusters × dims] */
  readonly centroids: Float32Array
  /** Pages in clusters, and the cluster of each */
  readonly pageIds: Float64Array
  readonly clusters: Int32Array
}

/** Read by bounded steps, so that other work comes between. */
export async function readPreviousRun(db: Database, jobId: string, dims: number): Promise<PreviousRun> {
  const stored = await readStoredClusters(db, jobId)
  const chosen = stored.find((cluster) => cluster.chosen)?.layer ?? 0
  const members = new Map<number, { pageIds: number[]; clusters: number[] }>()
  const byLayer = Map.groupBy(stored, (cluster) => cluster.layer)
  for await (const rows of readMembers(db, jobId)) {
    for (const { layer, pageId, clusterNo } of rows) {
      const of = members.get(layer) ?? { pageIds: [], clusters: [] }
      of.pageIds.push(pageId)
      of.clusters.push(clusterNo - byLayer.get(layer)![0]!.no)
      members.set(layer, of)
    }
  }
  const layers = [...byLayer].map(([layer, clusters]) => ({
    fromChosen: layer - chosen,
    lineageIds: clusters.map((cluster) => cluster.lineageId),
    centroids: centroidsOf(clusters, dims),
    pageIds: Float64Array.from(members.get(layer)?.pageIds ?? []),
    clusters: Int32Array.from(members.get(layer)?.clusters ?? []),
  }))
  return { pageIds: Float64Array.from(await listJobPageIds(db, jobId)), layers }
}

/** Centroids of another model's width say nothing about likeness: pages in common have to. */
function centroidsOf(clusters: readonly StoredCluster[], dims: number): Float32Array {
  const centroids = new Float32Array(clusters.length * dims)
  for (const [i, { centroid }] of clusters.entries()) if (centroid.length === dims) centroids.set(centroid, i * dims)
  return centroids
}

interface Runs {
  readonly jobId: string
  readonly previousJobId: string
  /** Pages of the job that have a vector, ascending */
  readonly pageIds: Float64Array
}

/** What the run before found, for this run's pages: a page that is new, or says something else now, is in no community. */
export async function readPreviousLayers(db: Database, { jobId, previousJobId, pageIds }: Runs): Promise<FoundLayer[]> {
  const stored = await readFoundLayers(db, previousJobId)
  if (stored.length === 0) return []
  const unchanged = new Set(await listUnchangedPageIds(db, jobId, previousJobId))
  return stored.map(({ fromChosen, resolution, pageIds: pagesBefore, communities }) => {
    const before = new Map(Array.from(pagesBefore, (page, i) => [page, communities[i]!]))
    const now = pageIds.map((page) => (unchanged.has(page) ? (before.get(page) ?? -1) : -1))
    return { fromChosen, resolution, communities: Int32Array.from(now) }
  })
}
