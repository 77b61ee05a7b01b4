/**
 * Mean silhouette (Rousseeuw 1987) of the clustered pages by cosine distance, exact, in time pages × clusters × dims: the mean
 * distance of a unit vector x to a cluster of n is 1 − x·S/n, S being the sum of its vectors. Pages outside are left out; a page alone in
 * its cluster counts 0. Undefined with fewer than two clusters.
 * @param vectors [pages × dims] row-major, unit length
 */
export function cosineSilhouette(
  vectors: Float32Array,
  dims: number,
  labels: Int32Array,
  clusters: number,
): number | undefined {
  if (clusters < 2) return undefined
  const sums = new Float64Array(clusters * dims)
  const sizes = new Int32Array(clusters)
  for (let page = 0; page < labels.length; page++) {
    const own = labels[page]!
    if (own < 0) continue
    sizes[own]!++
    for (let j = 0; j < dims; j++) sums[own * dims + j]! += vectors[page * dims + j]!
  }
  let total = 0
  let count = 0
  for (let page = 0; page < labels.length; page++) {
    const own = labels[page]!
    if (own < 0) continue
    count++
    if (sizes[own] === 1) continue
    let near = 0
    let nearest = Number.POSITIVE_INFINITY
    for (let cluster = 0; cluster < clusters; cluster++) {
      let product = 0
      for (let j = 0, s = cluster * dims, v = page * dims; j < dims; j++) product += sums[s + j]! * vectors[v + j]!
      if (cluster === own) near = 1 - (product - 1) / (sizes[own]! - 1)
      else if (sizes[cluster]! > 0) nearest = Math.min(nearest, 1 - product / sizes[cluster]!)
    }
    const larger = Math.max(near, nearest)
    total += larger === 0 ? 0 : (nearest - near) / larger
  }
  return count === 0 ? undefined : total / count
}
