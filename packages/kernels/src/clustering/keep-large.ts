import { type Level, renumber } from './communities.ts'
import { SmallestFirst } from './smallest-first.ts'

type Least = {
  /** Pages that a node stands for */
  sizes: Float64Array
  minClusterSize: number
}

/** Communities with too few pages join the one they are linked to most closely (within their parent), or dissolve (−1). */
export function keepLarge(
  level: Level,
  communities: Int32Array,
  least: Least,
  parents?: Int32Array,
): { labels: Int32Array; clusters: number } {
  const numbered = renumber(communities)
  const homes = homesOfSmall(level, numbered.labels, numbered.count, least, parents)
  const kept = renumber(numbered.labels.map((label) => (label < 0 ? -1 : homes[label]!)))
  return { labels: kept.labels, clusters: kept.count }
}

/** For each community the one it ends in, −1 for none. The smallest goes first, so that small ones can make a large one. */
function homesOfSmall(level: Level, labels: Int32Array, count: number, least: Least, parents?: Int32Array): Int32Array {
  const sizes = new Float64Array(count)
  const links = linksBetween(level, labels, count, parents)
  const homes = new Int32Array(count)
  for (let label = 0; label < count; label++) homes[label] = label
  for (let node = 0; node < labels.length; node++) if (labels[node]! >= 0) sizes[labels[node]!]! += least.sizes[node]!
  const waiting = new SmallestFirst(sizes)
  for (let label = 0; label < count; label++) if (sizes[label]! < least.minClusterSize) waiting.add(label)
  for (let small = waiting.take(); small >= 0; small = waiting.take()) {
    let home = -1
    for (const [label, weight] of links[small]!) if (home < 0 || weight > links[small]!.get(home)!) home = label
    homes[small] = home
    if (home < 0) continue
    sizes[home]! += sizes[small]!
    if (sizes[home]! < least.minClusterSize) waiting.add(home)
    joinLinks(links, small, home)
  }
  return homes.map((_, label) => lastHome(homes, label))
}

function lastHome(homes: Int32Array, label: number): number {
  let at = label
  while (at >= 0 && homes[at] !== at) at = homes[at]!
  return at
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
