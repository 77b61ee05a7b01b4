import { type Level, modularity, settleNodes } from './communities.ts'
import { type Rung, sameRung } from './ladder.ts'
import { intersect } from './partitions.ts'

/** The communities of a layer as they were found: before small ones join others, and before pages fall outside. */
export type FoundLayer = {
  /** Distance from the chosen layer, finer ones below 0 */
  fromChosen: number
  /** Of the pages, or of the nodes of a graph; −1 where none is known */
  communities: Int32Array
  resolution: number
}

/**
 * What a run has to gain to leave the topics of the run before. Partitions that are hardly less good than the best are many and unlike: nine
 * more pages on 8,346 changed the topic of 22 % of them. Persistence of one rung differs by 0.03 between samples of a wiki, and modularity of
 * equally good partitions by 1 %.
 */
const clearlyMorePersistent = 0.05
const clearlyBetter = 0.02

/** The rung of the run before, unless the most persistent one is clearly more persistent. */
export function keptRung(best: Rung, rungs: readonly Rung[], previous: FoundLayer | undefined): Rung {
  const before = previous && rungs.find((rung) => sameRung(rung.resolution, previous.resolution))
  return before && best.persistence < before.persistence + clearlyMorePersistent ? before : best
}

type Carried = {
  /** Of each node in the run before, −1 where it has none */
  before: Int32Array
  /** The partition found without the run before; nodes that it did not know start from it */
  fresh: Int32Array
  resolution: number
  /** Nodes of different parts here never share a community */
  within?: Int32Array
}

/**
 * Moves the nodes one by one from the communities of the run before, and takes the partition found anew where that is clearly better.
 * Both are settled, so that the same graph gives the communities of the run before again.
 */
export function carryOver(level: Level, { before, fresh, resolution, within }: Carried): Int32Array {
  const known = before.reduce((most, label) => Math.max(most, label), -1) + 1
  const start = before.map((label, node) => (label < 0 ? known + fresh[node]! : label))
  const carried = settleNodes(level, within ? intersect(start, within) : start, resolution, within)
  const [anew, kept] = [modularity(level, fresh, resolution), modularity(level, carried, resolution)]
  return anew > kept + clearlyBetter * Math.abs(kept) ? fresh : carried
}
