import { aggregate, findCommunities, type Level, renumber } from './communities.ts'
import { similarityOfPartitions } from './partitions.ts'

/** Resolutions are compared on groups of nodes: a node of their level is a group. */
export type Groups = { level: Level; of: Int32Array; sizes: Float64Array }
export type Rung = { labels: Int32Array; resolution: number; persistence: number; clusters: number }

export function groupOf(level: Level, parts: Int32Array, sizes: Float64Array): Groups {
  const { labels, count } = renumber(parts)
  const sums = new Float64Array(count)
  for (let node = 0; node < labels.length; node++) sums[labels[node]!]! += sizes[node]!
  return { level: aggregate(level, labels, count), of: labels, sizes: sums }
}

/** Neighbouring rungs of a ladder are this factor apart. */
export const step = Math.SQRT2
/** To a step of 2^(1/64) */
const mostHalvings = 5

/** Whether two resolutions are the same rung of a ladder. */
export const sameRung = (a: number, b: number): boolean => Math.abs(a / b - 1) < 0.01

export function ladder(groups: Groups, from: number, to: number, rounds: number, within?: Int32Array): Rung[] {
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

/** The rung at a resolution, where the ladder has none made and compared with those beside it. */
export function rungAtOrBetween(groups: Groups, rungs: readonly Rung[], resolution: number): Rung {
  const there = rungs.find((rung) => sameRung(rung.resolution, resolution))
  if (there) return there
  const above = rungs.findIndex((rung) => rung.resolution > resolution)
  const rung = rungAt(groups, resolution, 2)
  rung.persistence = persistence(
    rung,
    rungs.at(above < 0 ? -1 : above - 1),
    above < 0 ? undefined : rungs[above],
    groups,
  )
  return rung
}

/** Where the ladder steps over the wanted numbers of clusters: its step is halved until a rung has one of them. */
export function rungBetween(groups: Groups, rungs: Rung[], wanted: { least: number; most: number }): Rung | undefined {
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

export function mostPersistent(rungs: readonly Rung[]): Rung {
  return rungs.reduce((best, rung) => (rung.persistence > best.persistence + 1e-9 ? rung : best))
}

export function nearestTarget(groups: Groups, target: number): Rung {
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
