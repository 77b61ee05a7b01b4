import type { Division } from './divide-into-cells.ts'
import type { Sample } from './measure-recall.ts'
import { type NeighbourLists, offer } from './neighbour-lists.ts'
import type { RowMemory } from './row-memory.ts'

/** Nearest neighbours whose nearest are looked at */
const fromEach = 8
export const mostAround = fromEach * fromEach
const rowsBetweenLooks = 1_024

/** Cells that rows have visited: those of a division, up to a gap. */
export type Visited = { division: Division; upTo: number }

/**
 * Betters approximate lists by what they know of each other, in place (Dong, Moses & Li 2011, NN-descent, one round): each row is
 * compared with the nearest of its nearest, and what is near enough is offered to both. Pairs that met when cells were visited are
 * not compared again.
 */
export function improveNeighbours(memory: RowMemory, visited: Visited, signal?: AbortSignal): void {
  const { count, lists, numbers, compared } = memory
  const { k, least } = lists
  const around = { near: Math.min(k, fromEach), looked: new Int32Array(count).fill(-1) }
  const cells = { ...visited.division, ...visited, visitedBy: new Int32Array(visited.division.cells).fill(-1) }
  for (let row = 0; row < count; row++) {
    if (row % rowsBetweenLooks === 0) signal?.throwIfAborted()
    const others = listAround(lists, row, around, cells, numbers)
    memory.compare(row, others)
    for (let i = 0; i < others; i++) {
      const other = numbers[i]!
      const similarity = compared[i]!
      if (similarity > least[row]!) offer(lists, row, other, similarity)
      if (similarity > least[other]!) offer(lists, other, row, similarity)
    }
  }
}

type Around = { near: number; looked: Int32Array }
type Cells = { named: number; nearest: Int32Array; gaps: Float32Array; upTo: number; visitedBy: Int32Array }

/** Rows to compare with, which are not in the list and were not met; returns how many. */
function listAround(
  { k, indices }: NeighbourLists,
  row: number,
  { near, looked }: Around,
  cells: Cells,
  into: Int32Array,
): number {
  const { named, nearest, visitedBy } = cells
  let count = 0
  looked[row] = row
  for (let at = row * k; at < (row + 1) * k; at++) if (indices[at]! >= 0) looked[indices[at]!] = row
  for (let at = row * named; at < (row + 1) * named && cells.gaps[at]! <= cells.upTo; at++)
    visitedBy[nearest[at]!] = row
  for (let i = 0; i < near; i++) {
    const via = indices[row * k + i]!
    if (via < 0) break
    for (let at = via * k; at < via * k + near; at++) {
      const other = indices[at]!
      if (other < 0 || looked[other] === row) continue
      looked[other] = row
      if (visitedBy[nearest[other * named]!] !== row && !hasVisited(cells, other, nearest[row * named]!))
        into[count++] = other
    }
  }
  return count
}

function hasVisited({ named, nearest, gaps, upTo }: Cells, row: number, cell: number): boolean {
  for (let at = row * named; at < (row + 1) * named && gaps[at]! <= upTo; at++) if (nearest[at] === cell) return true
  return false
}

/** The recall on the sample that a round would reach, told from the lists alone. */
export function recallAfterRound({ rows, truth }: Sample, { k, indices }: NeighbourLists): number {
  const near = Math.min(k, fromEach)
  const holds = (row: number, other: number, most: number) => indices.subarray(row * k, row * k + most).includes(other)
  const reaches = (row: number, other: number) =>
    indices.subarray(row * k, row * k + near).some((via) => via >= 0 && holds(via, other, near))
  let hits = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    for (const other of truth.indices.subarray(i * truth.k, (i + 1) * truth.k)) {
      if (other >= 0 && (holds(row, other, k) || reaches(row, other) || reaches(other, row))) hits++
    }
  }
  return hits / (rows.length * truth.k)
}
