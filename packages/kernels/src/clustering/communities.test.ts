import { expect, test } from 'vitest'
import { aggregate, findCommunities, type Level, modularity, settleNodes } from './communities.ts'
import { degrees, neighbourGraph } from './neighbour-graph.ts'
import { bruteNearest, noise, topics } from './testing.ts'
import { unitVectors } from './vectors.ts'

function levelOf(vectors: Float32Array, dims: number, k: number): Level {
  const unit = unitVectors(vectors, dims)
  const graph = neighbourGraph(bruteNearest(unit, dims, k), unit.length / dims)
  return { graph, masses: degrees(graph) }
}

/** By the definition, over all pairs of nodes. */
function modularityOfPairs({ graph, masses }: Level, labels: ArrayLike<number>, resolution: number): number {
  const all = masses.reduce((a, b) => a + b, 0)
  let sum = 0
  for (let a = 0; a < graph.nodes; a++) {
    for (let edge = graph.starts[a]!; edge < graph.starts[a + 1]!; edge++) {
      if (labels[graph.targets[edge]!] === labels[a]) sum += graph.weights[edge]!
    }
    for (let b = 0; b < graph.nodes; b++) {
      if (labels[a] === labels[b]) sum -= (resolution * masses[a]! * masses[b]!) / all
    }
  }
  return sum / all
}

/** The best over all partitions of a few nodes. */
function bruteBest(level: Level, resolution: number): number {
  const { nodes } = level.graph
  let best = Number.NEGATIVE_INFINITY
  const labels = new Array<number>(nodes).fill(0)
  const place = (node: number, used: number): void => {
    if (node === nodes) {
      best = Math.max(best, modularityOfPairs(level, labels, resolution))
      return
    }
    for (let label = 0; label <= used; label++) {
      labels[node] = label
      place(node + 1, Math.max(used, label + 1))
    }
  }
  place(0, 0)
  return best
}

test.each([1, 2, 3, 4])('comes within 5 %% of the best partition of nine nodes (seed %i)', (seed) => {
  const level = levelOf(topics(9, 3, 6, 0.8, seed), 6, 3)
  const best = bruteBest(level, 1)
  const found = modularityOfPairs(level, findCommunities(level, { resolution: 1, rounds: 2 }), 1)
  expect(found).toBeGreaterThan(best - 0.05 * Math.abs(best))
})

test('weights are the same both ways, and a nearest neighbour weighs most', () => {
  const { graph } = levelOf(noise(60, 8), 8, 5)
  const weight = new Map<string, number>()
  for (let a = 0; a < graph.nodes; a++) {
    for (let edge = graph.starts[a]!; edge < graph.starts[a + 1]!; edge++) {
      expect(graph.weights[edge]!).toBeGreaterThan(0)
      expect(graph.weights[edge]!).toBeLessThanOrEqual(1)
      weight.set(`${a},${graph.targets[edge]}`, graph.weights[edge]!)
    }
  }
  for (const [pair, value] of weight) expect(weight.get(pair.split(',').reverse().join(','))).toBe(value)
  expect(Math.max(...weight.values())).toBe(1)
})

test('nodes of different parts never share a community', () => {
  const level = levelOf(noise(80, 8), 8, 6)
  const within = Int32Array.from({ length: 80 }, (_, node) => node % 3)
  const found = findCommunities(level, { resolution: 0.2, within, rounds: 2 })
  const partOf = new Map<number, number>()
  for (let node = 0; node < 80; node++) {
    expect(partOf.get(found[node]!) ?? within[node]).toBe(within[node])
    partOf.set(found[node]!, within[node]!)
  }
})

test('joining nodes to one keeps the weight and the mass of all', () => {
  const level = levelOf(noise(50, 8), 8, 5)
  const parts = Int32Array.from({ length: 50 }, (_, node) => node % 7)
  const joined = aggregate(level, parts, 7)
  const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0)
  expect(sum(joined.graph.weights)).toBeCloseTo(sum(level.graph.weights), 3)
  expect(sum(joined.masses)).toBeCloseTo(sum(level.masses), 6)
})

test('modularity is that of the definition, and settling raises it until nothing moves', () => {
  const level = levelOf(noise(120, 8), 8, 6)
  for (const resolution of [0.5, 1, 4]) {
    const start = Int32Array.from({ length: 120 }, (_, node) => node % 11)
    const settled = settleNodes(level, start, resolution)
    expect(modularity(level, start, resolution)).toBeCloseTo(modularityOfPairs(level, start, resolution), 9)
    expect(modularity(level, settled, resolution)).toBeGreaterThan(modularity(level, start, resolution))
    expect(settleNodes(level, settled, resolution)).toEqual(settled)
  }
})
