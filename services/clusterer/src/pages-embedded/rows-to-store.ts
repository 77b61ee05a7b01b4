import type { ClusterToStore, MemberToStore } from '@tagloom/database'
import type { ClusterLayer, Lineage } from '@tagloom/kernels'

/** First number of each layer's clusters: numbers run over the whole job, finest layer first. */
export function firstNumbers(layers: readonly ClusterLayer[]): number[] {
  let next = 0
  return layers.map((layer) => {
    const first = next
    next += layer.clusters
    return first
  })
}

/** @param lineages by cluster number */
export function clustersToStore(
  layers: readonly ClusterLayer[],
  chosen: number,
  dims: number,
  lineages: readonly Lineage[],
): ClusterToStore[] {
  const first = firstNumbers(layers)
  return layers.flatMap((layer, at) =>
    Array.from({ length: layer.clusters }, (_, cluster) => {
      const no = first[at]! + cluster
      const parent = layer.parents[cluster]!
      const lineage = lineages[no]!
      return {
        no,
        layer: at,
        parentNo: parent < 0 ? null : first[at + 1]! + parent,
        chosen: at === chosen,
        size: layer.sizes[cluster]!,
        strength: layer.clusterStrengths[cluster]!,
        centroid: layer.centroids.slice(cluster * dims, (cluster + 1) * dims),
        joinThreshold: layer.joinThresholds[cluster]!,
        lineageId: lineage.id,
        lineageEvent: lineage.event,
        lineageFrom: lineage.from,
      }
    }),
  )
}

export function* membersToStore(layers: readonly ClusterLayer[], pageIds: Float64Array): Generator<MemberToStore> {
  const first = firstNumbers(layers)
  for (const [at, layer] of layers.entries()) {
    for (let page = 0; page < pageIds.length; page++) {
      const cluster = layer.labels[page]!
      if (cluster < 0) continue
      yield {
        layer: at,
        pageId: pageIds[page]!,
        clusterNo: first[at]! + cluster,
        strength: layer.strengths[page]!,
        attached: layer.attached[page] === 1,
      }
    }
  }
}
