import { carryOver, type FoundLayer, keptRung } from './carry-over.ts'
import { findGroups, type Level, renumber, settleNodes } from './communities.ts'
import { keepLarge } from './keep-large.ts'
import {
  type Groups,
  groupOf,
  ladder,
  mostPersistent,
  nearestTarget,
  type Rung,
  rungAtOrBetween,
  rungBetween,
  sameRung,
  step,
} from './ladder.ts'
import { intersect } from './partitions.ts'

/**
 * Nested layers of topics on a neighbour graph.
 *
 *  1. Pages are joined to groups of about eight; everything that only compares resolutions runs on the groups.
 *  2. A ladder of resolutions is climbed. A rung's persistence is the mean similarity of its partition to those one rung
 *     below and above: topics that are there last over a range of resolutions, arbitrary cuts do not.
 *  3. The most persistent rung near resolution 1 is the chosen layer; its pages are then moved one by one.
 *  4. The chosen clusters are joined to broader ones and split into finer ones the same way, so that layers nest.
 *
 * With the layers of a run before, each layer keeps their rung and goes on from their communities unless it is clearly better not to.
 */
export type LayerOptions = {
  /** Pages that a node stands for */
  sizes: Float64Array
  minClusterSize: number
  /** Take the resolution whose number of clusters is nearest to this, instead of the most persistent */
  targetClusters?: number
  /** Of the run before, by node */
  previous?: readonly FoundLayer[]
  /** Called between steps with the share done, 0 to 1; may throw to stop */
  onStep?: (share: number) => void
}

export type Layer = {
  /** Cluster of each node, −1 outside */
  labels: Int32Array
  clusters: number
  resolution: number
  /** 0 to 1 */
  persistence: number
  /** What the next run goes on from: every node has one */
  communities: Int32Array
  /** Whether it went on from the communities of the run before */
  carried: boolean
}

const groupResolution = 16
/** Resolutions of the chosen layer; modularity is a likelihood at 1 (Newman 2016), which is the middle of them. */
const chosenFrom = 0.5
const chosenTo = 1.42
const finerFactor = 4
const mostFinerLayers = 2

export function findLayers(level: Level, options: LayerOptions): { layers: Layer[]; chosen: number } {
  const groups = groupOf(level, findGroups(level, groupResolution), options.sizes)
  options.onStep?.(0.2)
  const chosen = options.targetClusters
    ? layerOfTarget(level, groups, options.targetClusters, options)
    : chosenLayer(level, groups, options)
  options.onStep?.(0.6)
  const finer = finerLayers(level, chosen, options)
  const coarser = coarserLayers(level, chosen, options)
  return { layers: [...finer.reverse(), chosen, ...coarser], chosen: finer.length }
}

const layerOfRunBefore = ({ previous }: LayerOptions, fromChosen: number): FoundLayer | undefined =>
  previous?.find((layer) => layer.fromChosen === fromChosen)

function chosenLayer(level: Level, groups: Groups, options: LayerOptions): Layer {
  const before = layerOfRunBefore(options, 0)
  const rungs = ladder(groups, chosenFrom / step, chosenTo * step, 2).filter(
    ({ resolution }) => resolution > chosenFrom * 0.99 && resolution < chosenTo * 1.01,
  )
  const rung = keptRung(mostPersistent(rungs), rungs, before)
  options.onStep?.(0.5)
  return layerOf(level, { rung, before, initial: expand(rung.labels, groups.of) }, options)
}

/** Goes on from the run before where that comes as near to the target. */
function layerOfTarget(level: Level, groups: Groups, target: number, options: LayerOptions): Layer {
  const rung = nearestTarget(groups, target)
  options.onStep?.(0.5)
  const anew = layerOf(level, { rung, initial: expand(rung.labels, groups.of) }, options)
  const before = layerOfRunBefore(options, 0)
  if (!before) return anew
  const there = { ...rung, resolution: before.resolution }
  const carried = layerOf(level, { rung: there, before, initial: anew.communities }, options)
  return Math.abs(carried.clusters - target) <= Math.abs(anew.clusters - target) ? carried : anew
}

type Start = {
  rung: Rung
  /** Communities of the nodes to settle */
  initial: Int32Array
  before?: FoundLayer
  parent?: Layer
}

/** Settles, goes on from the run before where that was at this rung, and joins what is small. */
function layerOf(level: Level, { rung, initial, before, parent }: Start, options: LayerOptions): Layer {
  const { resolution, persistence } = rung
  const within = parent?.labels.map((label) => label + 1)
  const fresh = settleNodes(level, initial, resolution, within)
  const carried = before && sameRung(before.resolution, resolution)
  const communities = carried
    ? carryOver(level, { before: before.communities, fresh, resolution, ...(within ? { within } : {}) })
    : fresh
  const inside = parent ? communities.map((label, node) => (parent.labels[node]! < 0 ? -1 : label)) : communities
  return {
    ...keepLarge(level, renumber(inside).labels, options, parent?.labels),
    resolution,
    persistence,
    communities,
    carried: communities !== fresh,
  }
}

function finerLayers(level: Level, chosen: Layer, options: LayerOptions): Layer[] {
  const layers: Layer[] = []
  const small = findGroups(level, groupResolution * finerFactor)
  let parent = chosen
  while (layers.length < mostFinerLayers) {
    const groups = groupOf(level, intersect(small, parent.labels), options.sizes)
    const within = project(parent.labels, groups.of, groups.level.graph.nodes)
    const from = parent.resolution * finerFactor
    const rungs = ladder(groups, from / step, from * 2, 1, within).filter((rung) => rung.resolution > from * 0.99)
    const before = layerOfRunBefore(options, -layers.length - 1)
    const rung = keptRung(mostPersistent(rungs), rungs, before)
    const layer = layerOf(level, { rung, before, initial: expand(rung.labels, groups.of), parent }, options)
    options.onStep?.(0.6 + 0.2 * (layers.length + 1))
    if (layer.clusters < parent.clusters * 1.5) break
    layers.push(layer)
    parent = layer
  }
  return layers
}

type Wanted = { least: number; most: number }

const isWanted = (clusters: number, { least, most }: Wanted): boolean => clusters >= least && clusters <= most

function coarserLayers(level: Level, chosen: Layer, options: LayerOptions): Layer[] {
  if (chosen.clusters < 4) return []
  const inside = chosen.labels.map((label) => (label < 0 ? chosen.clusters : label))
  const groups = groupOf(level, inside, options.sizes)
  const rungs = ladder(groups, chosen.resolution / 16, chosen.resolution / step, 2)
  const wanted = { least: Math.max(2, chosen.clusters / 4), most: chosen.clusters / 2 }
  const anew = coarserRung(groups, rungs, wanted)
  const before = layerOfRunBefore(options, 1)
  const carried = before && carriedRung(groups, rungs, { before, anew, wanted })
  const rung = carried ?? anew
  if (!rung) return []
  const communities = expand(rung.labels, groups.of)
  const { labels, count } = renumber(communities.map((label, node) => (chosen.labels[node]! < 0 ? -1 : label)))
  const { resolution, persistence } = rung
  return [{ labels, clusters: count, resolution, persistence, communities, carried: rung === carried }]
}

function coarserRung(groups: Groups, rungs: Rung[], wanted: Wanted): Rung | undefined {
  const allowed = rungs.filter((rung) => isWanted(rung.clusters, wanted))
  const rung = allowed.length > 0 ? mostPersistent(allowed) : rungBetween(groups, rungs, wanted)
  if (!rung) return undefined
  const settled = withLabels(rung, settleNodes(groups.level, rung.labels, rung.resolution))
  return isWanted(settled.clusters, wanted) ? settled : rung
}

function carriedRung(
  groups: Groups,
  rungs: Rung[],
  { before, anew, wanted }: { before: FoundLayer; anew: Rung | undefined; wanted: Wanted },
): Rung | undefined {
  const { resolution } = before
  const there = rungAtOrBetween(groups, rungs, resolution)
  if (anew && keptRung(anew, [there], before) !== there) return undefined
  const fresh = settleNodes(groups.level, there.labels, resolution)
  const carried = carryOver(groups.level, { before: mostOfEach(before.communities, groups), fresh, resolution })
  const rung = withLabels(there, carried)
  return isWanted(rung.clusters, wanted) ? rung : undefined
}

const withLabels = (rung: Rung, labels: Int32Array): Rung => ({ ...rung, labels, clusters: renumber(labels).count })

/** The community that most nodes of each group are in, −1 where none of them has one. */
function mostOfEach(communities: Int32Array, { of, sizes }: Groups): Int32Array {
  const counts = Array.from(sizes, () => new Map<number, number>())
  for (const [node, label] of communities.entries())
    if (label >= 0) counts[of[node]!]!.set(label, (counts[of[node]!]!.get(label) ?? 0) + 1)
  return Int32Array.from(counts, (of) => [...of].reduce((best, one) => (one[1] > best[1] ? one : best), [-1, 0])[0])
}

function expand(labels: Int32Array, groupOfNode: Int32Array): Int32Array {
  return groupOfNode.map((group) => labels[group]!)
}

function project(labels: Int32Array, groupOfNode: Int32Array, groups: number): Int32Array {
  const result = new Int32Array(groups)
  for (let node = 0; node < labels.length; node++) result[groupOfNode[node]!] = labels[node]! + 1
  return result
}
