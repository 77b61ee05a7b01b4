import type { StoredCluster } from '@tagloom/database'

/** The centroids of one layer as a matrix, and the row of each cluster in it. */
export interface LayerCentroids {
  /** [clusters × dims], unit length */
  readonly centroids: Float32Array
  readonly rowOf: ReadonlyMap<number, number>
}

/** By layer. @param clusters with centroids of one length */
export function layerCentroids(clusters: readonly StoredCluster[]): Map<number, LayerCentroids> {
  const byLayer = Map.groupBy(clusters, ({ layer }) => layer)
  return new Map(
    [...byLayer].map(([layer, members]) => {
      const dims = members[0]!.centroid.length
      const centroids = new Float32Array(members.length * dims)
      members.forEach(({ centroid }, row) => {
        centroids.set(centroid, row * dims)
      })
      return [layer, { centroids, rowOf: new Map(members.map(({ no }, row) => [no, row])) }]
    }),
  )
}
