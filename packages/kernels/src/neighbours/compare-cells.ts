import { blockValues } from '../multiply.ts'
import { type Division, mostAsking } from './divide-into-cells.ts'
import type { NeighbourOptions } from './find-neighbours.ts'
import type { RowMemory } from './row-memory.ts'

/** A cell's own rows at once */
export const mostOwn = blockValues / mostAsking

/** Which of the cells that it names a row visits, by their gap. */
export type Visits = (gap: number, row: number) => boolean

/**
 * Inverted lists (Jégou, Douze & Schmid 2011, section 4, without the quantised products), looked up both ways: one product for each
 * cell, of its visitors with its own rows. What is near enough is offered to both rows of a pair, so that it is found where either
 * visits the other.
 */
export async function visitCells(
  memory: RowMemory,
  division: Division,
  visits: Visits,
  options: NeighbourOptions,
): Promise<void> {
  const homes = listByCell(division, (at) => at % division.named === 0)
  const visitors = listByCell(division, (at) => visits(division.gaps[at]!, Math.floor(at / division.named)))
  for (let cell = 0; cell < division.cells; cell++) {
    for (const asking of pieces(visitors, cell, mostAsking)) {
      const left = memory.gather('left', asking)
      for (const own of pieces(homes, cell, mostOwn)) {
        options.signal?.throwIfAborted()
        await options.multiply(left, memory.gather('right', own), memory.width, memory.products)
        memory.offerProducts(asking, own)
      }
    }
    if (cell % cellsBetweenTold === 0) options.progress?.(cell / division.cells)
  }
}

const cellsBetweenTold = 16

type Lists = { starts: Int32Array; rows: Int32Array }

/** Rows of each cell, by the places in `nearest` that count. */
function listByCell({ cells, named, nearest }: Division, counts: (at: number) => boolean): Lists {
  const starts = new Int32Array(cells + 1)
  for (let at = 0; at < nearest.length; at++) if (counts(at)) starts[nearest[at]! + 1]!++
  for (let cell = 0; cell < cells; cell++) starts[cell + 1]! += starts[cell]!
  const next = starts.slice(0, cells)
  const rows = new Int32Array(starts[cells]!)
  for (let at = 0; at < nearest.length; at++) {
    if (counts(at)) rows[next[nearest[at]!]!++] = Math.floor(at / named)
  }
  return { starts, rows }
}

function* pieces({ starts, rows }: Lists, cell: number, most: number): Generator<Int32Array> {
  for (let first = starts[cell]!; first < starts[cell + 1]!; first += most) {
    yield rows.subarray(first, Math.min(starts[cell + 1]!, first + most))
  }
}
