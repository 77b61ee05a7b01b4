import { aggregate, findCommunities, findGroups, type Level, renumber, settleNodes } from './communities.ts'
import { similarityOfPartitions } from './partitions.ts'

/**
 * Nested layers of topics on a neighbour graph.
 *
 *  1. Pages are joined to groups of about eight; everything that only compares resolutions runs on the groups.
 *  2. A ladder of resolutions is climbed. A rung's persistence is the mean similarity of its partition to those one rung
 *     below and above: topics that are there last over a range of resolutions, arbitrary cuts do not.
 *  3. The most persistent rung near resolution 1 is the chosen layer; its pages are then moved one by one.
 *  4. The chosen clusters are joined to broader ones and split into finer ones the same way, so that layers nest.
 */
export type LayerOptions = {
  /** Pages that a node stands for */
  sizes: Float64Array
  minClusterSize: number
  /** Take the resolution whose number of clusters is nearest to this, instead of the most persistent */
  targetClusters?: number
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
}

const groupResolution = 16
const step = Math.SQRT2
/** Resolutions of the chosen layer; modularity is a likelihood at 1 (Newman 2016), which is the middle of them. */
const chosenFrom = 0.5
const chosenTo = 1.42
const finerFactor = 4
const mostFinerLayers = 2
/** To a step of 2^(1/64) */
const mostHalvings = 5

export function findLayers(level: Level, options: LayerOptions): { layers: Layer[]; chosen: number } {
  const groups = groupOf(level, findGroups(level, groupResolution), options.sizes)
  options.onStep?.(0.2)
  const rung = options.targetClusters
    ? nearestTarget(groups, options.targetClusters)
    : mostPersistent(
        ladder(groups, chosenFrom / step, chosenTo * step, 2),
        (r) => r.resolution > chosenFrom * 0.99 && r.resolution < chosenTo * 1.01,
      )
  options.onStep?.(0.5)
  const initial = expand(rung.labels, groups.of)
  const polished = settleNodes(level, initial, rung.resolution)
  const chosen = keepLarge(level, polished, options, rung)
  options.onStep?.(0.6)
  const finer = finerLayers(level, chosen, options)
  const coarser = coarserLayers(level, chosen, options)
  return { layers: [...finer.reverse(), chosen, ...coarser], chosen: finer.length }
}

type Groups = { level: Level; of: Int32Array; sizes: Float64Array }
type Rung = { labels: Int32Array; resolution: number; persistence: number; clusters: number }

function groupOf(level: Level, parts: Int32Array, sizes: Float64Array): Groups {
  const { labels, count } = renumber(parts)
  const sums = new Float64Array(count)
  for (let node = 0; node < labels.length; node++) sums[labels[node]!]! += sizes[node]!
  return { level: aggregate(level, labels, count), of: labels, sizes: sums }
}

function ladder(groups: Groups, from: number, to: number, rounds: number, within?: Int32Array): Rung[] {
  const rungs: Rung[] = []
  for (let resolution = from; resolution < to * 1.01; resolution *= step)
    rungs.push(rungAt(groups, resolution, rounds, within))
  for (let i = 0; i < rungs.length; i++)
    rungs[i]!.persistence = persistence(rungs[i]!, rungs[i - 1], rungs[i + 1], groups)
  return rungs
}

/** Its persistence is told by the rungs beside it, and 0 until then. */
function rungAt(groups: Groups, resolution: number, rounds: number, within?: Int32Array): Rung {
  const labels = findCommunities(groups.level, { resolution, rounds, ...(within ? { within } : {}) })
  return { labels, resolution, persistence: 0, clusters: renumber(labels).count }
}

function persistence(rung: Rung, below: Rung | undefined, above: Rung | undefined, { sizes }: Groups): number {
  const beside = [below, above].filter((other) => other !== undefined)
  const likeness = beside.map((other) => similarityOfPartitions(other.labels, rung.labels, sizes))
  return likeness.reduce((sum, value) => sum + value, 0) / Math.max(1, likeness.length)
}

/** Where the ladder steps over the wanted numbers of clusters: its step is halved until a rung has one of them. */
function rungBetween(groups: Groups, rungs: Rung[], wanted: { least: number; most: number }): Rung | undefined {
  const above = rungs.findIndex((rung) => rung.clusters > wanted.most)
  let [low, high] = [rungs[above - 1], rungs[above]]
  for (let i = 0; low && high && i < mostHalvings; i++) {
    const rung = rungAt(groups, Math.sqrt(low.resolution * high.resolution), 2)
    rung.persistence = persistence(rung, low, high, groups)
    if (rung.clusters > wanted.most) high = rung
    else if (rung.clusters < wanted.least) low = rung
    else return rung
  }
  return undefined
}

function mostPersistent(rungs: Rung[], allowed: (rung: Rung) => boolean): Rung {
  const candidates = rungs.filter(allowed)
  return candidates.reduce((best, rung) => (rung.persistence > best.persistence + 1e-9 ? rung : best), candidates[0]!)
}

function nearestTarget(groups: Groups, target: number): Rung {
  let low = 1 / 64
  let high = 1024
  let best: Rung | undefined
  for (let i = 0; i < 12; i++) {
    const resolution = Math.sqrt(low * high)
    const labels = findCommunities(groups.level, { resolution, rounds: 1 })
    const clusters = renumber(labels).count
    if (!best || Math.abs(clusters - target) < Math.abs(best.clusters - target)) {
      best = { labels, resolution, persistence: 0, clusters }
    }
    if (clusters === target) break
    if (clusters < target) low = resolution
    else high = resolution
  }
  return best!
}

function finerLayers(level: Level, chosen: Layer, options: LayerOptions): Layer[] {
  const layers: Layer[] = []
  const small = findGroups(level, groupResolution * finerFactor)
  let parent = chosen
  while (layers.length < mostFinerLayers) {
    const parts = intersect(small, parent.labels)
    const groups = groupOf(level, parts, options.sizes)
    const within = project(parent.labels, groups.of, groups.level.graph.nodes)
    const from = parent.resolution * finerFactor
    const rung = mostPersistent(ladder(groups, from / step, from * 2, 1, within), (r) => r.resolution > from * 0.99)
    const initial = expand(rung.labels, groups.of)
    const bounds = parent.labels.map((label) => label + 1)
    const polished = settleNodes(level, initial, rung.resolution, bounds)
    for (let node = 0; node < polished.length; node++) if (parent.labels[node]! < 0) polished[node] = -1
    const layer = keepLarge(level, renumber(polished).labels, options, rung, parent.labels)
    options.onStep?.(0.6 + 0.2 * (layers.length + 1))
    if (layer.clusters < parent.clusters * 1.5) break
    layers.push(layer)
    parent = layer
  }
  return layers
}

function coarserLayers(level: Level, chosen: Layer, options: LayerOptions): Layer[] {
  if (chosen.clusters < 4) return []
  const inside = chosen.labels.map((label) => (label < 0 ? chosen.clusters : label))
  const groups = groupOf(level, inside, options.sizes)
  const rungs = ladder(groups, chosen.resolution / 16, chosen.resolution / step, 2)
  const wanted = { least: Math.max(2, chosen.clusters / 4), most: chosen.clusters / 2 }
  const allowed = rungs.filter((rung) => rung.clusters >= wanted.least && rung.clusters <= wanted.most)
  const rung = allowed.length > 0 ? mostPersistent(allowed, () => true) : rungBetween(groups, rungs, wanted)
  if (!rung) return []
  const labels = expand(rung.labels, groups.of)
  for (let node = 0; node < labels.length; node++) if (chosen.labels[node]! < 0) labels[node] = -1
  const { labels: numbered, count } = renumber(labels)
  return [{ labels: numbered, clusters: count, resolution: rung.resolution, persistence: rung.persistence }]
}

/** Clusters with too few pages join the one they are linked to most closely (within their parent), or dissolve. */
function keepLarge(level: Level, labels: Int32Array, options: LayerOptions, rung: Rung, parents?: Int32Array): Layer {
  const numbered = renumber(labels)
  const homes = homesOfSmall(level, numbered.labels, numbered.count, options, parents)
  const kept = renumber(numbered.labels.map((label) => (label < 0 ? -1 : homes[label]!)))
  return { labels: kept.labels, clusters: kept.count, resolution: rung.resolution, persistence: rung.persistence }
}

/** For each cluster the one it ends in, −1 for none. The smallest goes first, so that small ones can make a large one. */
function homesOfSmall(
  level: Level,
  labels: Int32Array,
  count: number,
  options: LayerOptions,
  parents?: Int32Array,
): Int32Array {
  const sizes = new Float64Array(count)
  const links = linksBetween(level, labels, count, parents)
  const homes = new Int32Array(count)
  for (let label = 0; label < count; label++) homes[label] = label
  for (let node = 0; node < labels.length; node++) if (labels[node]! >= 0) sizes[labels[node]!]! += options.sizes[node]!
  const waiting = [...sizes.keys()].filter((label) => sizes[label]! < options.minClusterSize)
  while (waiting.length > 0) {
    let at = 0
    for (let i = 1; i < waiting.length; i++) if (sizes[waiting[i]!]! < sizes[waiting[at]!]!) at = i
    const small = waiting.splice(at, 1)[0]!
    if (sizes[small]! >= options.minClusterSize) continue
    let home = -1
    for (const [label, weight] of links[small]!) if (home < 0 || weight > links[small]!.get(home)!) home = label
    for (let label = 0; label < count; label++) if (homes[label] === small) homes[label] = home
    if (home < 0) continue
    sizes[home]! += sizes[small]!
    joinLinks(links, small, home)
  }
  return homes
}

function linksBetween(
  { graph }: Level,
  labels: Int32Array,
  count: number,
  parents?: Int32Array,
): Map<number, number>[] {
  const links = Array.from({ length: count }, () => new Map<number, number>())
  for (let node = 0; node < labels.length; node++) {
    const own = labels[node]!
    if (own < 0) continue
    for (let edge = graph.starts[node]!; edge < graph.starts[node + 1]!; edge++) {
      const to = graph.targets[edge]!
      const label = labels[to]!
      if (label < 0 || label === own || (parents && parents[to] !== parents[node])) continue
      links[own]!.set(label, (links[own]!.get(label) ?? 0) + graph.weights[edge]!)
    }
  }
  return links
}

function joinLinks(links: Map<number, number>[], from: number, into: number): void {
  for (const [label, weight] of links[from]!) {
    links[label]!.delete(from)
    if (label === into) continue
    links[into]!.set(label, (links[into]!.get(label) ?? 0) + weight)
    links[label]!.set(into, (links[label]!.get(into) ?? 0) + weight)
  }
  links[from]!.clear()
}

function expand(labels: Int32Array, groupOfNode: Int32Array): Int32Array {
  return groupOfNode.map((group) => labels[group]!)
}

function project(labels: Int32Array, groupOfNode: Int32Array, groups: number): Int32Array {
  const result = new Int32Array(groups)
  for (let node = 0; node < labels.length; node++) result[groupOfNode[node]!] = labels[node]! + 1
  return result
}

/** Parts of `a` cut along the borders of `b`. */
function intersect(a: Int32Array, b: Int32Array): Int32Array {
  const width = b.reduce((most, label) => Math.max(most, label), -1) + 2
  const numbers = new Map<number, number>()
  return a.map((label, node) => {
    const key = label * width + b[node]! + 1
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    return number
  })
}
