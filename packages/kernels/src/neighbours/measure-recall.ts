import type { NeighbourOptions } from './find-neighbours.ts'
import { emptyLists, type NeighbourLists, offer } from './neighbour-lists.ts'
import type { RowMemory } from './row-memory.ts'

export const sampledRows = 256
/** Products of the same rows taken in another order differ by this much. */
const rounding = 1e-6

/**
 * Compares an even sample of 256 rows with all others, and returns what tells the recall of any lists: the share of the sample's
 * true neighbours that they hold, where of equally near ones any will do. Its standard error at 0.95 is about 0.007.
 */
export async function measureRecall(
  memory: RowMemory,
  k: number,
  { multiply, signal }: NeighbourOptions,
): Promise<(lists: NeighbourLists) => number> {
  const { count, width, rows, products, bounds, numbers } = memory
  const size = Math.min(sampledRows, count)
  const sample = Int32Array.from({ length: size }, (_, i) => Math.floor((i * count) / size))
  const own = memory.gather('left', sample)
  const truth = emptyLists(size, k)
  const block = Math.floor(products.length / size)
  bounds.fill(Number.POSITIVE_INFINITY)
  for (let first = 0; first < count; first += block) {
    signal?.throwIfAborted()
    const columns = Math.min(block, count - first)
    await multiply(own, rows.subarray(first * width, (first + columns) * width), width, products)
    for (let i = 0; i < size; i++) {
      const hits = memory.above(i * columns, 0, columns, truth.least[i]!)
      for (let hit = 0; hit < hits; hit++) {
        const similarity = products[i * columns + numbers[hit]!]!
        const other = first + numbers[hit]!
        if (similarity > truth.least[i]! && other !== sample[i]) offer(truth, i, other, similarity)
      }
    }
  }
  return (lists) => {
    let hits = 0
    for (let i = 0; i < size; i++) {
      for (let at = sample[i]! * k; at < (sample[i]! + 1) * k; at++) {
        if (lists.similarities[at]! >= truth.least[i]! - rounding) hits++
      }
    }
    return hits / (size * k)
  }
}
