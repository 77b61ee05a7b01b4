import { blockValues, type Multiply } from '../multiply.ts'
import { compareCells, mostAsking, mostOwn } from './compare-cells.ts'
import { improveNeighbours, mostAround } from './improve-neighbours.ts'
import { measureRecall, sampledRows } from './measure-recall.ts'
import { emptyLists, finished, type NeighbourLists, type Neighbours, offerProducts } from './neighbour-lists.ts'
import { openRowMemory } from './row-memory.ts'

export type NeighbourOptions = {
  multiply: Multiply
  /** Rows up to which every pair is compared */
  exactUpTo?: number
  /** Seed of the cells beyond that */
  seed?: number
  signal?: AbortSignal
  progress?: (share: number) => void
}

const defaultExactUpTo = 20_000
const wantedRecall = 0.955
const mostDivisions = 3

/**
 * The k nearest other rows of each row of unit vectors by cosine, [rows × dims] row-major.
 *  1. Up to `exactUpTo` rows every pair is compared, once.
 *  2. Beyond that rows are divided into cells, and compared with the rows of the nearest ones (compare-cells.ts);
 *  3. lists are bettered by what neighbours know of each other (improve-neighbours.ts);
 *  4. their recall is measured on some rows. Below 0.955, cells are made anew from another seed and their finds added, at most
 *     three times in all.
 * Deterministic for a seed on any number of threads.
 */
export async function findNeighbours(
  rows: Float32Array,
  dims: number,
  k: number,
  options: NeighbourOptions,
): Promise<Neighbours> {
  const count = rows.length / dims
  if (!Number.isInteger(count) || k < 1 || k >= Math.max(2, count)) {
    throw new RangeError(`asked for ${k} neighbours among ${count} rows of ${dims}, expected 1 to ${count - 1}`)
  }
  const lists = emptyLists(count, k)
  if (count <= (options.exactUpTo ?? defaultExactUpTo)) {
    await compareAll(rows, dims, lists, options)
    return finished(lists, 1)
  }
  return finished(lists, await compareNear(rows, dims, lists, options))
}

async function compareAll(rows: Float32Array, dims: number, lists: NeighbourLists, options: NeighbourOptions) {
  const count = rows.length / dims
  const block = Math.max(16, Math.min(512, Math.floor(blockValues / count)))
  const sizes = { mostLeft: 0, mostRight: 0, mostProducts: block * count, mostColumns: count }
  const memory = openRowMemory(rows, dims, sizes)
  const numbers = Int32Array.from({ length: count }, (_, row) => row)
  // Each block of rows with itself and what comes after it, so that every pair is taken once.
  for (let first = 0; first < count; first += block) {
    options.signal?.throwIfAborted()
    const last = Math.min(count, first + block)
    const right = memory.rows.subarray(first * memory.width)
    const left = right.subarray(0, (last - first) * memory.width)
    await options.multiply(left, right, memory.width, memory.products)
    offerProducts(lists, memory, numbers.subarray(first, last), numbers.subarray(first), (row) => row + 1)
    options.progress?.(1 - ((count - last) / count) ** 2)
  }
}

/** Returns the recall that was reached. */
async function compareNear(
  rows: Float32Array,
  dims: number,
  lists: NeighbourLists,
  options: NeighbourOptions,
): Promise<number> {
  const memory = openRowMemory(rows, dims, {
    mostLeft: mostAsking,
    mostRight: mostOwn,
    mostProducts: blockValues,
    mostColumns: Math.max(mostOwn, mostAround, Math.ceil(blockValues / sampledRows)),
  })
  const recallOf = await measureRecall(memory, lists.k, options)
  const seed = options.seed ?? 42
  let recall = 0
  for (let division = 0; division < mostDivisions && recall < wantedRecall; division++) {
    await compareCells(memory, lists, seed + division * seedsApart, options)
    improveNeighbours(memory, lists, options.signal)
    recall = recallOf(lists)
  }
  return recall
}

/** Far enough that no other seed's first cells are this one's second. */
const seedsApart = 1_000_003
