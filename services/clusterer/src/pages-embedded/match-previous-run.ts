import { createHash } from 'node:crypto'
import { type ClusterLayer, type Lineage, type LineageMatch, matchLineages, type RunLayer } from '@tagloom/kernels'
import type { PreviousLayer, PreviousRun } from './read-previous-run.ts'

export interface RunLineages {
  /** By cluster number */
  readonly lineages: readonly Lineage[]
  /** Of the chosen layer; undefined without a run before */
  readonly chosen: LineageMatch | undefined
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
  const pagesBefore = new Set(previous?.pageIds)
  let ofChosen: LineageMatch | undefined
  for (const [i, layer] of found.layers.entries()) {
    const ids = Array.from({ length: layer.clusters }, (_, cluster) => newId(jobId, lineages.length + cluster))
    const before = previous?.layers.find((one) => one.fromChosen === i - found.chosen)
    if (!before) {
      lineages.push(...ids.map((id): Lineage => ({ id, event: 'born', from: [] })))
      continue
    }
    const current = { ids, centroids: layer.centroids, clusterOfPage: clusterOfPage(layer, pageIds) }
    const match = matchLineages(runLayer(before), current, dims, { previous: pagesBefore, current: pageIds })
    if (i === found.chosen) ofChosen = match
    lineages.push(...match.lineages)
  }
  return { lineages, chosen: ofChosen }
}

const runLayer = ({ lineageIds, centroids, pageIds, clusters }: PreviousLayer): RunLayer => ({
  ids: lineageIds,
  centroids,
  clusterOfPage: new Map(Array.from(pageIds, (page, i) => [page, clusters[i]!])),
})

function clusterOfPage({ labels }: ClusterLayer, pageIds: Float64Array): Map<number, number> {
  const map = new Map<number, number>()
  for (let page = 0; page < pageIds.length; page++) if (labels[page]! >= 0) map.set(pageIds[page]!, labels[page]!)
  return map
}

const newId = (jobId: string, no: number): string =>
  createHash('sha256').update(`${jobId}/${no}`).digest('hex').slice(0, 16)
