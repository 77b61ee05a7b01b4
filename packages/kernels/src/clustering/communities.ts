import type { Graph } from './neighbour-graph.ts'

/**
 * Communities of a weighted graph by modularity with a resolution, after Traag, Waltman & van Eck 2019 (Leiden): move nodes,
 * refine inside what was found, aggregate the refined parts, repeat. Differences: the refinement moves greedily, and nodes are
 * visited in a fixed order (level 0 by falling degree), so that nothing is random and no seed is needed.
 */
export type CommunityOptions = {
  /** γ: 1 is plain modularity, more gives smaller communities */
  resolution: number
  /** Communities to start from; by default every node is one */
  initial?: Int32Array
  /** Nodes of different parts here never share a community */
  within?: Int32Array
  /** Whole rounds, each starting from the last one's communities */
  rounds?: number
}

/** A graph and its nodes' degrees, self loops included. */
export type Level = {
  graph: Graph
  masses: Float64Array
  /** Nodes by falling degree, found when first needed */
  order?: Int32Array
}

/** Labels 0, 1, … in order of first appearance, one for each node. */
export function findCommunities(level: Level, options: CommunityOptions): Int32Array {
  let labels = options.initial ? renumber(options.initial).labels : identity(level.graph.nodes)
  for (let round = 0; round < (options.rounds ?? 1); round++) labels = oneRound(level, labels, options)
  return renumber(labels).labels
}

/**
 * Only the last step of it: nodes move one by one between the given communities, which neither split nor join, until none would:
 * what comes of it settles to itself. Every move raises modularity, so that it ends.
 */
export function settleNodes(level: Level, initial: Int32Array, resolution: number, within?: Int32Array): Int32Array {
  let labels = renumber(initial).labels
  for (;;) {
    const settled = moveNodes(level, labels, resolution, within)
    if (settled.every((label, node) => label === labels[node])) return renumber(settled).labels
    labels = settled
  }
}

/** Weight inside communities less γ times what their degrees would have by chance, as shares of all weight (Newman 2016). */
export function modularity({ graph, masses }: Level, labels: Int32Array, resolution: number): number {
  const totals = new Float64Array(labels.reduce((most, label) => Math.max(most, label), -1) + 1)
  let all = 0
  let inside = 0
  for (let node = 0; node < labels.length; node++) {
    const label = labels[node]!
    totals[label]! += masses[node]!
    all += masses[node]!
    for (let edge = graph.starts[node]!; edge < graph.starts[node + 1]!; edge++)
      if (labels[graph.targets[edge]!] === label) inside += graph.weights[edge]!
  }
  if (all === 0) return 0
  return inside / all - resolution * totals.reduce((sum, total) => sum + (total / all) ** 2, 0)
}

/** Only the first step of it: groups of a few nodes, which later steps can take as their nodes. */
export function findGroups(level: Level, resolution: number): Int32Array {
  return renumber(moveNodes(level, identity(level.graph.nodes), resolution)).labels
}

function oneRound(bottom: Level, initial: Int32Array, { resolution, within }: CommunityOptions): Int32Array {
  let level = bottom
  let labels = initial
  let bounds = within
  const place = identity(bottom.graph.nodes)
  for (;;) {
    const moved = renumber(moveNodes(level, labels, resolution, bounds))
    const refined = renumber(moveNodes(level, identity(level.graph.nodes), resolution, moved.labels))
    if (refined.count === level.graph.nodes || moved.count === level.graph.nodes) {
      return place.map((node) => moved.labels[node]!)
    }
    labels = project(moved.labels, refined.labels, refined.count)
    if (bounds) bounds = project(bounds, refined.labels, refined.count)
    for (let node = 0; node < place.length; node++) place[node] = refined.labels[place[node]!]!
    level = aggregate(level, refined.labels, refined.count)
  }
}

/** Gains below this share of a node's own mass are rounding, and following them could go round in circles. */
const leastGain = 1e-6

function moveNodes(level: Level, initial: Int32Array, resolution: number, within?: Int32Array): Int32Array {
  const { graph, masses } = level
  const { nodes, starts, targets, weights } = graph
  const labels = initial.slice()
  const totals = new Float64Array(nodes)
  let all = 0
  for (let node = 0; node < nodes; node++) {
    totals[labels[node]!]! += masses[node]!
    all += masses[node]!
  }
  const pull = all === 0 ? 0 : resolution / all
  level.order ??= visitingOrder(masses)
  const queue = level.order.slice()
  const queued = new Uint8Array(nodes).fill(1)
  const links = new Float64Array(nodes)
  const seen = new Int32Array(nodes)
  let head = 0
  let waiting = nodes
  while (waiting > 0) {
    const node = queue[head]!
    head = head + 1 === nodes ? 0 : head + 1
    waiting--
    queued[node] = 0
    const old = labels[node]!
    const bound = within ? within[node]! : 0
    let count = 0
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      const to = targets[edge]!
      if (to === node || (within && within[to] !== bound)) continue
      const label = labels[to]!
      if (links[label] === 0) seen[count++] = label
      links[label]! += weights[edge]!
    }
    const mass = masses[node]!
    totals[old]! -= mass
    let best = old
    let most = links[old]! - pull * mass * totals[old]! + leastGain * mass
    for (let i = 0; i < count; i++) {
      const label = seen[i]!
      const gain = links[label]! - pull * mass * totals[label]!
      if (gain > most) {
        most = gain
        best = label
      }
      links[label] = 0
    }
    links[old] = 0
    totals[best]! += mass
    if (best === old) continue
    labels[node] = best
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      const to = targets[edge]!
      if (queued[to] || labels[to] === best) continue
      queued[to] = 1
      queue[head + waiting < nodes ? head + waiting : head + waiting - nodes] = to
      waiting++
    }
  }
  return labels
}

function visitingOrder(masses: Float64Array): Int32Array {
  return identity(masses.length).sort((a, b) => masses[b]! - masses[a]! || a - b)
}

/** Joins the nodes of each part to one node; weights between and inside parts add up (inside as a self loop). */
export function aggregate({ graph, masses }: Level, parts: Int32Array, count: number): Level {
  const members = groupMembers(parts, count)
  const links = new Float64Array(count)
  const seen = new Int32Array(count)
  const starts = new Int32Array(count + 1)
  const targets = new Int32Array(graph.targets.length)
  const weights = new Float32Array(graph.targets.length)
  const joined = new Float64Array(count)
  let edges = 0
  for (let part = 0; part < count; part++) {
    let found = 0
    for (let at = members.starts[part]!; at < members.starts[part + 1]!; at++) {
      const node = members.nodes[at]!
      joined[part]! += masses[node]!
      for (let edge = graph.starts[node]!; edge < graph.starts[node + 1]!; edge++) {
        const to = parts[graph.targets[edge]!]!
        if (links[to] === 0) seen[found++] = to
        links[to]! += graph.weights[edge]!
      }
    }
    for (let i = 0; i < found; i++) {
      targets[edges] = seen[i]!
      weights[edges++] = links[seen[i]!]!
      links[seen[i]!] = 0
    }
    starts[part + 1] = edges
  }
  const graphOfParts = { nodes: count, starts, targets: targets.slice(0, edges), weights: weights.slice(0, edges) }
  return { graph: graphOfParts, masses: joined }
}

/** Nodes sorted by label: those of label l are `nodes[starts[l]]` to `nodes[starts[l + 1] − 1]`. Labels below 0 are left out. */
function groupMembers(labels: Int32Array, count: number): { starts: Int32Array; nodes: Int32Array } {
  const starts = new Int32Array(count + 1)
  for (const label of labels) if (label >= 0) starts[label + 1]!++
  for (let label = 0; label < count; label++) starts[label + 1]! += starts[label]!
  const next = starts.slice(0, count)
  const nodes = new Int32Array(starts[count]!)
  for (let node = 0; node < labels.length; node++) if (labels[node]! >= 0) nodes[next[labels[node]!]!++] = node
  return { starts, nodes }
}

/** Labels 0, 1, … in order of first appearance; what is below 0 stays −1. */
export function renumber(labels: Int32Array): { labels: Int32Array; count: number } {
  let highest = -1
  for (const label of labels) if (label > highest) highest = label
  const numbers = new Int32Array(highest + 1).fill(-1)
  const result = new Int32Array(labels.length)
  let count = 0
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!
    if (label < 0) {
      result[i] = -1
      continue
    }
    if (numbers[label]! < 0) numbers[label] = count++
    result[i] = numbers[label]!
  }
  return { labels: result, count }
}

function project(labels: Int32Array, parts: Int32Array, count: number): Int32Array {
  const result = new Int32Array(count)
  for (let node = 0; node < labels.length; node++) result[parts[node]!] = labels[node]!
  return result
}

function identity(length: number): Int32Array {
  const numbers = new Int32Array(length)
  for (let i = 0; i < length; i++) numbers[i] = i
  return numbers
}
