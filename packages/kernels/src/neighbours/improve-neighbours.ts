import { type NeighbourLists, offer } from './neighbour-lists.ts'
import type { RowMemory } from './row-memory.ts'

/** Nearest neighbours whose nearest are looked at */
const fromEach = 8
export const mostAround = fromEach * fromEach
const rowsBetweenLooks = 1_024

/**
 * Betters approximate lists by what they know of each other, in place (Dong, Moses & Li 2011, NN-descent, one round): each row is
 * compared with the nearest of its nearest, and what is near enough is offered to both.
 */
export function improveNeighbours(memory: RowMemory, lists: NeighbourLists, signal?: AbortSignal): void {
  const { k, least } = lists
  const { count, numbers, compared } = memory
  const near = Math.min(k, fromEach)
  const looked = new Int32Array(count).fill(-1)
  for (let row = 0; row < count; row++) {
    if (row % rowsBetweenLooks === 0) signal?.throwIfAborted()
    const others = listAround(lists, row, near, looked, numbers)
    memory.compare(row, others)
    for (let i = 0; i < others; i++) {
      const other = numbers[i]!
      const similarity = compared[i]!
      if (similarity > least[row]!) offer(lists, row, other, similarity)
      if (similarity > least[other]!) offer(lists, other, row, similarity)
    }
  }
}

/** Rows to compare with, which are not in the list already; returns how many. */
function listAround(
  { k, indices }: NeighbourLists,
  row: number,
  near: number,
  looked: Int32Array,
  into: Int32Array,
): number {
  let count = 0
  looked[row] = row
  for (let at = row * k; at < (row + 1) * k; at++) if (indices[at]! >= 0) looked[indices[at]!] = row
  for (let i = 0; i < near; i++) {
    const via = indices[row * k + i]!
    if (via < 0) break
    for (let at = via * k; at < via * k + near; at++) {
      const other = indices[at]!
      if (other < 0 || looked[other] === row) continue
      looked[other] = row
      into[count++] = other
    }
  }
  return count
}
