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
  /** Similarity to the nearest centroid */
  similarities: Float32Array
  /**
   * Share of the pages that no cluster takes, over the tenth that the thresholds leave out by how they are set: at 1 the pages are like
   * those of the run, from 2 on they are not, and a run is due.
   */
  drift: number
}

/** Gives each page, [pages × dims] of unit length, to the nearest cluster whose threshold it reaches. */
export function assignPages(vectors: Float32Array, dims: number, given: AssignableClusters): AssignedPages {
  const pages = vectors.length / dims
  const count = given.joinThresholds.length
  const clusters = new Int32Array(pages).fill(-1)
  const similarities = new Float32Array(pages).fill(-1)
  let abstained = 0
  for (let page = 0; page < pages; page++) {
    let taken = Number.NEGATIVE_INFINITY
    for (let cluster = 0; cluster < count; cluster++) {
      let similarity = 0
      for (let j = 0, c = cluster * dims, p = page * dims; j < dims; j++)
        similarity += given.centroids[c + j]! * vectors[p + j]!
      similarities[page] = Math.max(similarities[page]!, similarity)
      if (similarity < given.joinThresholds[cluster]! || similarity <= taken) continue
      taken = similarity
      clusters[page] = cluster
    }
    if (clusters[page]! < 0) abstained++
  }
  return { clusters, similarities, drift: pages === 0 ? 0 : abstained / pages / leftOutByThreshold }
}

const leftOutByThreshold = 0.1
