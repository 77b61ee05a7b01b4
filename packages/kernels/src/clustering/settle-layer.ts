import type { Layer } from './layers.ts'
import { centroids, dot, quantile } from './members.ts'

/** One layer of clusters over the pages. */
export type ClusterLayer = {
  /** Cluster of each page, −1 outside */
  labels: Int32Array
  /** Share of each page's neighbourhood in its cluster, 0 to 1; 0 outside */
  strengths: Float32Array
  /** 1 for the pages that were outside at first and that the second pass attached */
  attached: Uint8Array
  clusters: number
  /** Pages of each cluster */
  sizes: Int32Array
  /** Mean strength of each cluster's pages */
  clusterStrengths: Float32Array
  /** [clusters × dims], unit length */
  centroids: Float32Array
  /** Similarity to its centroid from which a page may join each cluster */
  joinThresholds: Float32Array
  /** Cluster of the next coarser layer that holds each cluster, −1 in the coarsest layer */
  parents: Int32Array
  resolution: number
  persistence: number
  /** Pages outside before the second pass and after it */
  outliersBefore: number
  outliersAfter: number
}

type Draft = {
  layer: Layer
  /** Of the nodes of the graph */
  shares: Float32Array
  far: Uint8Array
  /** Node of each page */
  distinctOf: Int32Array
  vectors: Float32Array
  dims: number
  minClusterSize: number
  parent?: ClusterLayer
}

/** A page is of a cluster while most of its neighbourhood is. */
const leastShare = 0.5
/** Similarity that 90 % of a cluster's own pages reach: a page that reaches it too is as near as they are. */
const joinQuantile = 0.1

/**
 * First pass: a page is outside where no cluster holds most of its neighbourhood, or where it is far from everything.
 * Second pass: such a page is attached where it is as similar to the centroid as the cluster's own pages are.
 */
export function settleLayer(draft: Draft): ClusterLayer {
  const { layer, shares, far, distinctOf, vectors, dims, parent } = draft
  const pages = distinctOf.length
  const core = new Int32Array(pages).fill(-1)
  for (let page = 0; page < pages; page++) {
    const node = distinctOf[page]!
    if (parent && parent.labels[page]! < 0) continue
    if (shares[node]! >= leastShare && far[node] === 0) core[page] = layer.labels[node]!
  }
  const centres = centroids(vectors, dims, core, layer.clusters)
  const thresholds = joinThresholds(draft, core, centres)
  const labels = core.slice()
  const attached = new Uint8Array(pages)
  for (let page = 0; page < pages; page++) {
    const cluster = layer.labels[distinctOf[page]!]!
    if (core[page]! >= 0 || cluster < 0 || (parent && parent.labels[page]! < 0)) continue
    if (dot(vectors, page, centres, cluster, dims) < thresholds[cluster]!) continue
    labels[page] = cluster
    attached[page] = 1
  }
  return keepLarge(draft, { core, labels, attached, centres, thresholds })
}

function joinThresholds({ layer, vectors, dims }: Draft, core: Int32Array, centres: Float32Array): Float32Array {
  const similarities: number[][] = Array.from({ length: layer.clusters }, () => [])
  for (let page = 0; page < core.length; page++) {
    if (core[page]! >= 0) similarities[core[page]!]!.push(dot(vectors, page, centres, core[page]!, dims))
  }
  return Float32Array.from(similarities, (values) =>
    values.length === 0 ? Number.POSITIVE_INFINITY : quantile(Float32Array.from(values).sort(), joinQuantile),
  )
}

type Passes = {
  core: Int32Array
  labels: Int32Array
  attached: Uint8Array
  centres: Float32Array
  thresholds: Float32Array
}

function keepLarge(draft: Draft, { core, labels, attached, centres, thresholds }: Passes): ClusterLayer {
  const { layer, shares, distinctOf, dims, parent, minClusterSize } = draft
  const counts = new Int32Array(layer.clusters)
  for (const label of labels) if (label >= 0) counts[label]!++
  const kept = [...counts.keys()].filter((cluster) => counts[cluster]! >= minClusterSize)
  const numbers = new Int32Array(layer.clusters).fill(-1)
  for (const [number, cluster] of kept.entries()) numbers[cluster] = number
  const strengths = new Float32Array(labels.length)
  const sums = new Float64Array(kept.length)
  const parents = new Int32Array(kept.length).fill(-1)
  let outliersBefore = 0
  let outliersAfter = 0
  for (let page = 0; page < labels.length; page++) {
    const number = labels[page]! < 0 ? -1 : numbers[labels[page]!]!
    labels[page] = number
    if (number < 0) {
      attached[page] = 0
      outliersAfter++
    } else {
      strengths[page] = shares[distinctOf[page]!]!
      sums[number]! += strengths[page]!
      if (parent) parents[number] = parent.labels[page]!
    }
    if (core[page]! < 0 || number < 0) outliersBefore++
  }
  const sizes = Int32Array.from(kept, (cluster) => counts[cluster]!)
  const keptCentres = new Float32Array(kept.length * dims)
  for (const [number, cluster] of kept.entries()) {
    keptCentres.set(centres.subarray(cluster * dims, (cluster + 1) * dims), number * dims)
  }
  return {
    labels,
    strengths,
    attached,
    clusters: kept.length,
    sizes,
    clusterStrengths: Float32Array.from(sums, (sum, number) => sum / sizes[number]!),
    centroids: keptCentres,
    joinThresholds: Float32Array.from(kept, (cluster) => thresholds[cluster]!),
    parents,
    resolution: layer.resolution,
    persistence: layer.persistence,
    outliersBefore,
    outliersAfter,
  }
}
