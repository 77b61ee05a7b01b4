import type { Multiply } from '../multiply.ts'

export type Silhouette = {
  /** Mean over the pages in clusters, −1 to 1; null below two clusters */
  score: number | null
  /** Of the mean, where it is over a sample; 0 where it is over all pages */
  standardError: number
}

const exactUpTo = 20_000
const rowsAtOnce = 2_048

/**
 * Mean silhouette (Rousseeuw 1987) by cosine distance; pages outside every cluster (−1) are left out, pages alone in a cluster
 * count 0. Exact without comparing pairs: for unit vectors the mean distance to a cluster is 1 − page · sum / size. Above
 * 20,000 pages the mean is over an even sample of them; the sums stay over all. Equal to scikit-learn's with metric="cosine".
 */
export async function silhouette(
  vectors: Float32Array,
  dims: number,
  labels: Int32Array,
  clusters: number,
  multiply: Multiply,
): Promise<Silhouette> {
  const sizes = new Float64Array(clusters)
  const sums = new Float32Array(clusters * dims)
  sumByCluster(vectors, dims, labels, sizes, sums)
  const present = sizes.reduce((count, size) => count + (size > 0 ? 1 : 0), 0)
  if (present < 2) return { score: null, standardError: 0 }
  const rows = evenSample(labels)
  let total = 0
  let squares = 0
  for (let first = 0; first < rows.length; first += rowsAtOnce) {
    const block = rows.subarray(first, first + rowsAtOnce)
    const products = await multiply(gatherRows(vectors, dims, block), sums, dims)
    for (let i = 0; i < block.length; i++) {
      const width = silhouetteOf(products, i * clusters, labels[block[i]!]!, sizes)
      total += width
      squares += width * width
    }
  }
  const mean = total / rows.length
  const sampled = rows.length < labels.reduce((count, label) => count + (label >= 0 ? 1 : 0), 0)
  const spread = Math.sqrt(Math.max(0, squares / rows.length - mean * mean))
  return { score: mean, standardError: sampled ? spread / Math.sqrt(rows.length) : 0 }
}

function silhouetteOf(products: Float32Array, at: number, own: number, sizes: Float64Array): number {
  if (sizes[own] === 1) return 0
  let nearest = Number.POSITIVE_INFINITY
  for (let cluster = 0; cluster < sizes.length; cluster++) {
    if (cluster === own || sizes[cluster] === 0) continue
    nearest = Math.min(nearest, 1 - products[at + cluster]! / sizes[cluster]!)
  }
  const within = (sizes[own]! - products[at + own]!) / (sizes[own]! - 1)
  const larger = Math.max(within, nearest)
  return larger <= 0 ? 0 : (nearest - within) / larger
}

function sumByCluster(
  vectors: Float32Array,
  dims: number,
  labels: Int32Array,
  sizes: Float64Array,
  into: Float32Array,
) {
  const sums = new Float64Array(into.length)
  for (let page = 0; page < labels.length; page++) {
    const cluster = labels[page]!
    if (cluster < 0) continue
    sizes[cluster]!++
    for (let j = 0; j < dims; j++) sums[cluster * dims + j]! += vectors[page * dims + j]!
  }
  into.set(sums)
}

function evenSample(labels: Int32Array): Int32Array {
  const rows = new Int32Array(labels.length)
  let count = 0
  for (let page = 0; page < labels.length; page++) if (labels[page]! >= 0) rows[count++] = page
  if (count <= exactUpTo) return rows.subarray(0, count)
  return Int32Array.from({ length: exactUpTo }, (_, i) => rows[Math.floor((i * count) / exactUpTo)]!)
}

function gatherRows(vectors: Float32Array, dims: number, rows: Int32Array): Float32Array {
  const taken = new Float32Array(rows.length * dims)
  for (let i = 0; i < rows.length; i++) taken.set(vectors.subarray(rows[i]! * dims, (rows[i]! + 1) * dims), i * dims)
  return taken
}
