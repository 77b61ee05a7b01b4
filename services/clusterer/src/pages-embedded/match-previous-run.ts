import { createHash } from 'node:crypto'
import { type Database, listJobPageIds, readMembers, readStoredClusters, type StoredCluster } from '@tagloom/database'
import { type ClusterLayer, type Lineage, type LineageMatch, matchLineages, type RunLayer } from '@tagloom/kernels'

/** The run before, by layers: the key is the layer's distance from the chosen one, finer ones below 0. */
export interface PreviousRun {
  readonly pageIds: ReadonlySet<number>
  readonly layers: ReadonlyMap<number, RunLayer>
}

export interface RunLineages {
  /** By cluster number */
  readonly lineages: readonly Lineage[]
  /** Of the chosen layer; undefined without a run before */
  readonly chosen: LineageMatch | undefined
}

export async function readPreviousRun(db: Database, jobId: string, dims: number): Promise<PreviousRun | undefined> {
  const clusters = await readStoredClusters(db, jobId)
  const chosen = clusters.find((cluster) => cluster.chosen)?.layer ?? 0
  const maps = new Map<number, Map<number, number>>()
  const byLayer = Map.groupBy(clusters, (cluster) => cluster.layer)
  for await (const members of readMembers(db, jobId)) {
    for (const { layer, pageId, clusterNo } of members) {
      const map = maps.get(layer) ?? new Map<number, number>()
      maps.set(layer, map.set(pageId, clusterNo - byLayer.get(layer)![0]!.no))
    }
  }
  const layers = new Map<number, RunLayer>()
  for (const [layer, of] of byLayer) layers.set(layer - chosen, runLayer(of, maps.get(layer) ?? new Map(), dims))
  return { pageIds: new Set(await listJobPageIds(db, jobId)), layers }
}

/** Centroids of another model's width say nothing about likeness: pages in common have to. */
function runLayer(clusters: readonly StoredCluster[], clusterOfPage: Map<number, number>, dims: number): RunLayer {
  const centroids = new Float32Array(clusters.length * dims)
  for (const [i, { centroid }] of clusters.entries()) if (centroid.length === dims) centroids.set(centroid, i * dims)
  return { ids: clusters.map((cluster) => cluster.lineageId), centroids, clusterOfPage }
}

/**
 * The lineage of every cluster. Layers are matched with those as far from the chosen layer in the run before; without such a layer, or
 * without such a run, clusters are born. New ids are made of job and number, so that the same work makes the same ids.
 */
export function matchPreviousRun(
  found: { readonly layers: readonly ClusterLayer[]; readonly chosen: number },
  pageIds: Float64Array,
  dims: number,
  jobId: string,
  previous: PreviousRun | undefined,
): RunLineages {
  const lineages: Lineage[] = []
  let ofChosen: LineageMatch | undefined
  for (const [i, layer] of found.layers.entries()) {
    const ids = Array.from({ length: layer.clusters }, (_, cluster) => newId(jobId, lineages.length + cluster))
    const before = previous?.layers.get(i - found.chosen)
    if (!previous || !before) {
      lineages.push(...ids.map((id): Lineage => ({ id, event: 'born', from: [] })))
      continue
    }
    const current = { ids, centroids: layer.centroids, clusterOfPage: clusterOfPage(layer, pageIds) }
    const match = matchLineages(before, current, dims, { previous: previous.pageIds, current: pageIds })
    if (i === found.chosen) ofChosen = match
    lineages.push(...match.lineages)
  }
  return { lineages, chosen: ofChosen }
}

function clusterOfPage({ labels }: ClusterLayer, pageIds: Float64Array): Map<number, number> {
  const map = new Map<number, number>()
  for (let page = 0; page < pageIds.length; page++) if (labels[page]! >= 0) map.set(pageIds[page]!, labels[page]!)
  return map
}

const newId = (jobId: string, no: number): string =>
  createHash('sha256').update(`${jobId}/${no}`).digest('hex').slice(0, 16)
