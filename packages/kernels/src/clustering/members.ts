import type { Graph } from './neighbour-graph.ts'

/** Share of each node's neighbourhood that lies in its own cluster, 0 to 1; 0 outside. */
export function memberships({ nodes, starts, targets, weights }: Graph, labels: Int32Array): Float32Array {
  const shares = new Float32Array(nodes)
  for (let node = 0; node < nodes; node++) {
    const own = labels[node]!
    if (own < 0) continue
    let inside = 0
    let all = 0
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      all += weights[edge]!
      if (labels[targets[edge]!] === own) inside += weights[edge]!
    }
    shares[node] = all === 0 ? 1 : inside / all
  }
  return shares
}

/**
 * Marks the nodes that are far from everything: their mean similarity to their neighbours lies below the lower fence of Tukey
 * (first quartile − 1.5 × interquartile range, 1977) of their own cluster, or of all nodes for the nodes of small clusters.
 */
export function farNodes(nearness: Float32Array, labels: Int32Array, clusters: number): Uint8Array {
  const far = new Uint8Array(nearness.length)
  const overall = lowerFence(nearness)
  const rows: number[][] = Array.from({ length: clusters }, () => [])
  for (let node = 0; node < labels.length; node++) if (labels[node]! >= 0) rows[labels[node]!]!.push(node)
  for (const members of rows) {
    const fence =
      members.length < fewestForFence ? overall : lowerFence(Float32Array.from(members, (node) => nearness[node]!))
    for (const node of members) if (nearness[node]! < fence) far[node] = 1
  }
  return far
}

const fewestForFence = 20

function lowerFence(values: Float32Array): number {
  const sorted = values.slice().sort()
  const first = quantile(sorted, 0.25)
  return first - 1.5 * (quantile(sorted, 0.75) - first)
}

/** Linear interpolation between the two nearest of ascending values. */
export function quantile(sorted: Float32Array, share: number): number {
  if (sorted.length === 0) return Number.NaN
  const at = share * (sorted.length - 1)
  const low = Math.floor(at)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!)
}

/** Centroids of unit length, [clusters × dims] row-major, of the unit vectors whose node counts (`core`). */
export function centroids(vectors: Float32Array, dims: number, labels: Int32Array, clusters: number): Float32Array {
  const sums = new Float64Array(clusters * dims)
  for (let page = 0; page < labels.length; page++) {
    if (labels[page]! < 0) continue
    const into = labels[page]! * dims
    const from = page * dims
    for (let j = 0; j < dims; j++) sums[into + j]! += vectors[from + j]!
  }
  const result = new Float32Array(clusters * dims)
  for (let cluster = 0; cluster < clusters; cluster++) {
    let square = 0
    for (let j = 0; j < dims; j++) square += sums[cluster * dims + j]! ** 2
    const scale = square === 0 ? 0 : 1 / Math.sqrt(square)
    for (let j = 0; j < dims; j++) result[cluster * dims + j] = sums[cluster * dims + j]! * scale
  }
  return result
}

export function dot(a: Float32Array, rowA: number, b: Float32Array, rowB: number, dims: number): number {
  let sum = 0
  for (let j = 0, p = rowA * dims, q = rowB * dims; j < dims; j++) sum += a[p + j]! * b[q + j]!
  return sum
}
