import type { Multiply } from '../multiply.ts'
import { findNeighbours } from '../neighbours/find-neighbours.ts'
import type { Neighbours } from '../neighbours/neighbour-lists.ts'
import type { FoundLayer } from './carry-over.ts'
import { findLayers, type Layer } from './layers.ts'
import { farNodes, memberships } from './members.ts'
import { degrees, type Graph, neighbourGraph } from './neighbour-graph.ts'
import { type ClusterLayer, settleLayer } from './settle-layer.ts'
import { distinctRows, takeRows, unitVectors } from './vectors.ts'

export type ClusterOptions = {
  /** Fewest pages of a cluster; by default half the cube root of the pages, at least 2 */
  minClusterSize?: number
  /** Choose the layer whose number of clusters is nearest to this */
  targetClusters?: number
  /** Pages up to which every pair is compared; by default 20,000 */
  exactUpTo?: number
  /** Found layers of the run before, by page (−1 for one that is new or says something else now): its topics are kept where they still hold */
  previous?: readonly FoundLayer[]
  /** Of the cells by which neighbours are found beyond that; nothing else is random */
  seed?: number
}

export type ClusterHooks = {
  multiply: Multiply
  /** Called between steps with the share done, 0 to 1 */
  progress?: (share: number) => void
  /** Looked at between steps; aborting makes the call throw its reason */
  signal?: AbortSignal
}

export type Clustering = {
  pages: number
  minClusterSize: number
  /** Finest first. Each cluster lies inside one cluster of the next layer. Empty where there are no clusters. */
  layers: ClusterLayer[]
  /** Index in `layers` of the layer that figures speak of */
  chosen: number
  criterion: string
  /** What the next run can go on from, by page; also of layers that were left out */
  found: FoundLayer[]
  /** The vectors at unit length, [pages × dims] */
  vectors: Float32Array
  /** Neighbour graph of the distinct vectors, with the distinct vector of each page */
  graph: Graph
  distinctOf: Int32Array
  neighbours: Neighbours
}

const mostNeighbours = 15
const shareOfNeighbours = 0.4

/**
 * Clusters pages by their vectors, [pages × dims] row-major float32 of any length above 0. Deterministic: the same vectors in
 * the same order and the same seed give the same result. Throws VectorError, which names the row at fault.
 */
export async function clusterPages(
  given: Float32Array,
  dims: number,
  options: ClusterOptions,
  hooks: ClusterHooks,
): Promise<Clustering> {
  const vectors = unitVectors(given, dims)
  const pages = vectors.length / dims
  const minClusterSize = options.minClusterSize ?? defaultMinClusterSize(pages)
  const step = stepper(hooks)
  const distinct = distinctRows(vectors, dims)
  const nodes = distinct.rows.length
  step(0)
  const k = Math.min(nodes - 1, mostNeighbours, Math.max(3, Math.round(Math.sqrt(nodes))))
  const neighbours =
    k < 1
      ? noNeighbours(nodes)
      : await findNeighbours(takeRows(vectors, dims, distinct.rows), dims, k, {
          ...options,
          ...hooks,
          progress: (share) => step(shareOfNeighbours * share),
        })
  step(shareOfNeighbours)
  const graph = neighbourGraph(neighbours, nodes)
  const level = { graph, masses: degrees(graph) }
  const found = findLayers(level, {
    sizes: distinct.counts,
    minClusterSize,
    targetClusters: options.targetClusters,
    previous: options.previous?.map((layer) => ({ ...layer, communities: ofNodes(layer.communities, distinct) })),
    onStep: (share) => step(shareOfNeighbours + (0.95 - shareOfNeighbours) * share),
  })
  const ground = { graph, neighbours, vectors, dims, distinctOf: distinct.of, minClusterSize }
  const { layers, chosen } = settle(found.layers, found.chosen, ground)
  step(1)
  return {
    pages,
    minClusterSize,
    layers,
    chosen,
    criterion: criterion(options, found.layers[found.chosen]!),
    found: found.layers.map(({ communities, resolution }, i) => ({
      fromChosen: i - found.chosen,
      communities: distinct.of.map((node) => communities[node]!),
      resolution,
    })),
    vectors,
    graph,
    distinctOf: distinct.of,
    neighbours,
  }
}

function defaultMinClusterSize(pages: number): number {
  return Math.max(2, Math.round(Math.cbrt(pages) / 2))
}

/** Pages that are equal are one node, which has the community of the first of them that has one. */
function ofNodes(communities: Int32Array, { rows, of }: { rows: Int32Array; of: Int32Array }): Int32Array {
  const ofNode = new Int32Array(rows.length).fill(-1)
  for (let page = of.length - 1; page >= 0; page--) if (communities[page]! >= 0) ofNode[of[page]!] = communities[page]!
  return ofNode
}

type Ground = {
  graph: Graph
  neighbours: Neighbours
  vectors: Float32Array
  dims: number
  distinctOf: Int32Array
  minClusterSize: number
}

/**
 * From the broadest layer down, so that a page outside a cluster is outside every finer one too. A finer layer is left out where
 * too few pages stay in its clusters, or where it hardly splits the one above.
 */
function settle(found: Layer[], foundChosen: number, ground: Ground): { layers: ClusterLayer[]; chosen: number } {
  const nearness = meanSimilarities(ground.neighbours, ground.graph.nodes)
  const settled: ClusterLayer[] = []
  let finer = 0
  for (let i = found.length - 1; i >= 0; i--) {
    const layer = found[i]!
    const parent = settled[0]
    const shares = memberships(ground.graph, layer.labels)
    const far = farNodes(nearness, layer.labels, layer.clusters)
    const draft = settleLayer({ layer, shares, far, ...ground, ...(parent ? { parent } : {}) })
    if (draft.clusters === 0 || (i < foundChosen && !worthKeeping(draft, parent))) continue
    if (i < foundChosen) finer++
    settled.unshift(draft)
  }
  return { layers: settled, chosen: finer }
}

const leastSplit = 1.5
const leastCoverage = 1 / 3

function worthKeeping(layer: ClusterLayer, parent: ClusterLayer | undefined): boolean {
  const covered = layer.labels.length - layer.outliersAfter
  return covered >= leastCoverage * layer.labels.length && layer.clusters >= leastSplit * (parent?.clusters ?? 0)
}

/** So few that a topic with fewer pages than neighbours are asked for is not far from itself. */
const nearestCounted = 5

function meanSimilarities({ k, similarities, indices }: Neighbours, nodes: number): Float32Array {
  const means = new Float32Array(nodes).fill(1)
  for (let node = 0; node < nodes; node++) {
    let sum = 0
    let count = 0
    for (let at = node * k; count < Math.min(k, nearestCounted) && indices[at]! >= 0; at++, count++)
      sum += similarities[at]!
    if (count > 0) means[node] = sum / count
  }
  return means
}

function noNeighbours(nodes: number): Neighbours {
  return { k: 1, indices: new Int32Array(nodes).fill(-1), similarities: new Float32Array(nodes), recall: 1 }
}

function criterion({ targetClusters }: ClusterOptions, { resolution, persistence, carried }: Layer): string {
  const at = `${persistence.toFixed(3)} at ${resolution.toFixed(3)}`
  if (targetClusters) return `number of clusters nearest to ${targetClusters}, at resolution ${resolution.toFixed(3)}`
  return carried
    ? `the partition of the run before, no other being clearly more persistent: ${at}`
    : `most persistent partition between resolutions 0.5 and 1.4: ${at}`
}

function stepper({ progress, signal }: ClusterHooks): (share: number) => void {
  return (share) => {
    signal?.throwIfAborted()
    progress?.(share)
  }
}
