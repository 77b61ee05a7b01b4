import { blockValues, type Multiply } from '../multiply.ts'
import { gapToMeet } from './choose-gap.ts'
import { mostOwn, type Visits, visitCells } from './compare-cells.ts'
import { type Division, divideIntoCells, mostAsking } from './divide-into-cells.ts'
import { improveNeighbours, mostAround, recallAfterRound } from './improve-neighbours.ts'
import { mostColumnsOfSample, recallOf, type Sample, sampleTruth } from './measure-recall.ts'
import { finished, type Neighbours, none } from './neighbour-lists.ts'
import { openRowMemory, type RowMemory } from './row-memory.ts'

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
/** Of the sample, whose standard error is 0.005: so much that 0.95 of all are found */
const wantedRecall = 0.96
const mostDivisions = 3

/**
 * The k nearest other rows of each row of unit vectors by cosine, [rows × dims] row-major.
 *  1. Up to `exactUpTo` rows every pair is compared, once.
 *  2. Beyond that the true neighbours of some rows are found, against which everything after is measured;
 *  3. rows are divided into cells (divide-into-cells.ts), and compared with the rows of the nearest ones (compare-cells.ts),
 *     of as few as meet 90 % of those neighbours, then more until 96 % are found, or
 *  4. until a round of what neighbours know of each other (improve-neighbours.ts) finds the rest.
 *  5. Where all the cells that a row names are not enough, cells are made anew from another seed and their finds added, at
 *     most three times in all.
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
  return count <= (options.exactUpTo ?? defaultExactUpTo)
    ? compareAll(rows, dims, k, options)
    : compareNear(rows, dims, k, options)
}

async function compareAll(rows: Float32Array, dims: number, k: number, options: NeighbourOptions): Promise<Neighbours> {
  const count = rows.length / dims
  const block = Math.max(16, Math.min(512, Math.floor(blockValues / count)))
  const memory = openRowMemory(rows, dims, {
    k,
    mostLeft: 0,
    mostRight: 0,
    mostProducts: block * count,
    mostRows: block,
    mostColumns: count,
  })
  const numbers = Int32Array.from({ length: count }, (_, row) => row)
  // Each block of rows with itself and what comes after it, so that every pair is taken once.
  for (let first = 0; first < count; first += block) {
    options.signal?.throwIfAborted()
    const last = Math.min(count, first + block)
    const right = memory.rows.subarray(first * memory.width)
    const left = right.subarray(0, (last - first) * memory.width)
    await options.multiply(left, right, memory.width, memory.products)
    memory.offerProducts(numbers.subarray(first, last), numbers.subarray(first), 'upper')
    options.progress?.(1 - ((count - last) / count) ** 2)
  }
  return finished(memory.lists, 1)
}

async function compareNear(
  rows: Float32Array,
  dims: number,
  k: number,
  options: NeighbourOptions,
): Promise<Neighbours> {
  const memory = openRowMemory(rows, dims, {
    k,
    mostLeft: mostAsking,
    mostRight: mostOwn,
    mostProducts: blockValues,
    mostRows: mostAsking,
    mostColumns: Math.max(mostOwn, mostAround, mostColumnsOfSample(blockValues)),
  })
  const sample = await sampleTruth(memory, options)
  const seed = options.seed ?? 42
  let recall = 0
  for (let nth = 0; nth < mostDivisions && recall < wantedRecall; nth++) {
    const division = await divideIntoCells(memory, seed + nth * seedsApart, options)
    recall = await searchCells(memory, sample, division, options)
  }
  return finished(memory.lists, recall)
}

/** Visits as many cells as the recall needs, with the round or without; returns the recall. */
async function searchCells(memory: RowMemory, sample: Sample, division: Division, options: NeighbourOptions) {
  const { lists } = memory
  let [share, beyond, done] = [firstShare, -1, shareOfDivision]
  const visit = async (visits: Visits) => {
    const ahead = (1 - done) / 2
    await visitCells(memory, division, visits, {
      ...options,
      progress: (part) => options.progress?.(done + ahead * part),
    })
    done += ahead
  }
  for (;;) {
    const upTo = gapToMeet(sample, division, share)
    await visit((gap) => gap > beyond && gap <= upTo)
    // A row whose list is not full visits all the cells that it names.
    if (lists.least.includes(none)) await visit((gap, row) => gap > upTo && lists.least[row] === none)
    beyond = upTo
    const found = recallOf(sample, lists)
    if (found >= wantedRecall) return found
    const hoped = recallAfterRound(sample, lists)
    if (hoped >= wantedRecall || upTo === Number.POSITIVE_INFINITY) {
      improveNeighbours(memory, { division, upTo }, options.signal)
      const recall = recallOf(sample, lists)
      if (recall >= wantedRecall || upTo === Number.POSITIVE_INFINITY) return recall
    }
    share += Math.max(leastStep, wantedRecall - hoped)
  }
}

/** Share of the true neighbours that the first visits are to meet: the least that the round has made enough of. */
const firstShare = 0.9
const leastStep = 0.01
/** Share of the progress at which cells are made */
const shareOfDivision = 0.4

/** Far enough that no other seed's first cells are this one's second. */
const seedsApart = 1_000_003
