import type { Neighbours } from '../neighbours/neighbour-lists.ts'

/** An undirected graph in compressed rows: the edges of node i are `starts[i]` to `starts[i + 1]`, all of weight above 0. */
export type Graph = {
  nodes: number
  starts: Int32Array
  targets: Int32Array
  weights: Float32Array
}

/**
 * Fuzzy neighbour graph after McInnes, Healy & Melville 2018 (UMAP, section 3.1). Each page scales its distances so that its
 * nearest neighbour weighs 1 and all of them together log2(k); a pair's two opinions a and b are joined to a + b − ab.
 * Local scaling is what lets a dense topic and a sparse one stand side by side.
 */
export function neighbourGraph({ k, indices, similarities }: Neighbours, pages: number): Graph {
  const directed = new Float32Array(indices.length)
  const distances = new Float64Array(k)
  for (let page = 0; page < pages; page++) {
    let count = 0
    while (count < k && indices[page * k + count]! >= 0) {
      distances[count] = Math.max(0, 1 - similarities[page * k + count]!)
      count++
    }
    if (count > 0) weighRow(distances, count, directed, page * k)
  }
  return symmetrise(pages, k, indices, directed)
}

const bandwidthTolerance = 1e-3
const bandwidthSteps = 32

function weighRow(distances: Float64Array, count: number, weights: Float32Array, offset: number): void {
  const nearest = distances[0]!
  const target = Math.log2(count + 1)
  let mean = 0
  for (let j = 0; j < count; j++) mean += (distances[j]! - nearest) / count
  if (mean <= 1e-7) {
    weights.fill(1, offset, offset + count)
    return
  }
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let width = mean
  for (let step = 0; step < bandwidthSteps; step++) {
    let sum = 0
    for (let j = 0; j < count; j++) {
      const weight = Math.exp((nearest - distances[j]!) / width)
      weights[offset + j] = weight
      sum += weight
    }
    if (Math.abs(sum - target) < bandwidthTolerance) break
    if (sum > target) high = width
    else low = width
    width = high === Number.POSITIVE_INFINITY ? width * 2 : (low + high) / 2
  }
}

function symmetrise(nodes: number, k: number, indices: Int32Array, directed: Float32Array): Graph {
  const starts = new Int32Array(nodes + 1)
  for (let at = 0; at < indices.length; at++) {
    if (indices[at]! < 0) continue
    starts[Math.floor(at / k) + 1]!++
    starts[indices[at]! + 1]!++
  }
  for (let node = 0; node < nodes; node++) starts[node + 1]! += starts[node]!
  const next = starts.slice(0, nodes)
  const targets = new Int32Array(starts[nodes]!)
  const weights = new Float32Array(starts[nodes]!)
  for (let from = 0, at = 0; from < nodes; from++) {
    for (let j = 0; j < k; j++, at++) {
      const to = indices[at]!
      if (to < 0) continue
      targets[next[from]!] = to
      weights[next[from]!++] = directed[at]!
      targets[next[to]!] = from
      weights[next[to]!++] = directed[at]!
    }
  }
  return joinParallelEdges({ nodes, starts, targets, weights })
}

function joinParallelEdges({ nodes, starts, targets, weights }: Graph): Graph {
  const seenAt = new Int32Array(nodes).fill(-1)
  const joined = new Int32Array(nodes + 1)
  let count = 0
  for (let node = 0; node < nodes; node++) {
    const first = count
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      const to = targets[edge]!
      if (weights[edge]! === 0) continue
      const seen = seenAt[to]!
      if (seen >= first) {
        weights[seen] = weights[seen]! + weights[edge]! - weights[seen]! * weights[edge]!
        continue
      }
      seenAt[to] = count
      targets[count] = to
      weights[count++] = weights[edge]!
    }
    joined[node + 1] = count
  }
  return { nodes, starts: joined, targets: targets.slice(0, count), weights: weights.slice(0, count) }
}

/** Sum of the weights at each node. */
export function degrees({ nodes, starts, weights }: Graph): Float64Array {
  const sums = new Float64Array(nodes)
  for (let node = 0; node < nodes; node++) {
    let sum = 0
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) sum += weights[edge]!
    sums[node] = sum
  }
  return sums
}
