import { blockValues } from '../multiply.ts'
import type { NeighbourOptions } from './find-neighbours.ts'
import { mulberry32 } from './mulberry32.ts'
import { type NeighbourLists, offerProducts } from './neighbour-lists.ts'
import type { RowMemory } from './row-memory.ts'

/** Rows at once of those that visit a cell, and of the cell's own */
export const mostAsking = 1_024
export const mostOwn = blockValues / mostAsking

/**
 * Inverted lists (Jégou, Douze & Schmid 2011, section 4, without the quantised products), looked up both ways:
 *  1. k-means on a sample makes 2√rows cells, each row belongs to the nearest;
 *  2. each row visits the 20 cells (25 at 120,000 rows) whose centres are nearest to it: one product for each cell, of its visitors with its own;
 *  3. what is near enough is offered to both rows of the pair, so that it is found where either visits the other.
 * Work grows with rows^1.5; memory is one cell's product beside the lists.
 */
export async function compareCells(
  memory: RowMemory,
  lists: NeighbourLists,
  seed: number,
  options: NeighbourOptions,
): Promise<void> {
  const { count, width } = memory
  const cells = Math.min(count, Math.round(Math.sqrt(count) * cellsPerRoot))
  const visits = Math.min(cells, Math.round(visitedCells * Math.max(1, count / countedFor) ** 0.25))
  const centres = await trainCentres(memory, cells, seed, options)
  options.progress?.(0.2)
  const nearest = await nearestCentres(memory, memory.rows, centres, visits, options)
  options.progress?.(0.4)
  const homes = listByCell(nearest, count, visits, 1, cells)
  const visitors = listByCell(nearest, count, visits, visits, cells)
  for (let cell = 0; cell < cells; cell++) {
    for (const own of pieces(homes, cell, mostOwn)) {
      const right = memory.gather('right', own)
      for (const asking of pieces(visitors, cell, mostAsking)) {
        options.signal?.throwIfAborted()
        await options.multiply(memory.gather('left', asking), right, width, memory.products)
        offerProducts(lists, memory, asking, own)
      }
    }
    if (cell % 16 === 0) options.progress?.(0.4 + (0.5 * cell) / cells)
  }
}

/** What these cost and find is in docs/decisions on neighbours. */
const cellsPerRoot = 2
const visitedCells = 20
/** Rows up to which so many visits are enough; beyond, a few more cost less than a second division */
const countedFor = 50_000
const rowsPerCellToTrain = 16
const trainingSteps = 3

/** Spherical k-means (Dhillon & Modha 2001) on a sample. */
async function trainCentres(
  memory: RowMemory,
  cells: number,
  seed: number,
  options: NeighbourOptions,
): Promise<Float32Array> {
  const { count, width } = memory
  const training = takeRows(memory, sampleRows(count, cells * rowsPerCellToTrain, seed))
  let centres: Float32Array = training.slice(0, cells * width)
  for (let step = 0; step < trainingSteps; step++) {
    const nearest = await nearestCentres(memory, training, centres, 1, options)
    const sums = new Float32Array(cells * width)
    for (let i = 0; i < nearest.length; i++) {
      const into = nearest[i]! * width
      for (let j = 0; j < width; j++) sums[into + j]! += training[i * width + j]!
    }
    centres = unitCentres(sums, centres, width)
  }
  return centres
}

/** Distinct rows in random order (the first steps of a Fisher–Yates shuffle). */
function sampleRows(count: number, wanted: number, seed: number): Int32Array {
  const random = mulberry32(seed)
  const order = Int32Array.from({ length: count }, (_, row) => row)
  const size = Math.min(count, wanted)
  for (let i = 0; i < size; i++) {
    const other = i + Math.floor(random() * (count - i))
    const row = order[i]!
    order[i] = order[other]!
    order[other] = row
  }
  return order.subarray(0, size)
}

function takeRows({ rows, width }: RowMemory, numbers: Int32Array): Float32Array {
  const taken = new Float32Array(numbers.length * width)
  for (let i = 0; i < numbers.length; i++) {
    taken.set(rows.subarray(numbers[i]! * width, (numbers[i]! + 1) * width), i * width)
  }
  return taken
}

/** An empty cell keeps its old centre. */
function unitCentres(sums: Float32Array, old: Float32Array, width: number): Float32Array {
  for (let first = 0; first < sums.length; first += width) {
    let square = 0
    for (let j = first; j < first + width; j++) square += sums[j]! * sums[j]!
    const scale = 1 / Math.sqrt(square)
    for (let j = first; j < first + width; j++) sums[j] = square === 0 ? old[j]! : sums[j]! * scale
  }
  return sums
}

/** The `wanted` nearest centres of each row, best first, [rows × wanted]. */
async function nearestCentres(
  memory: RowMemory,
  rows: Float32Array,
  centres: Float32Array,
  wanted: number,
  { multiply, signal }: NeighbourOptions,
): Promise<Int32Array> {
  const { width, products, bounds } = memory
  const cells = centres.length / width
  const nearest = new Int32Array((rows.length / width) * wanted)
  const values = new Float32Array(wanted)
  const block = Math.max(1, Math.min(mostAsking, Math.floor(products.length / cells)))
  bounds.fill(Number.POSITIVE_INFINITY)
  for (let first = 0; first < rows.length / width; first += block) {
    signal?.throwIfAborted()
    const asking = rows.subarray(first * width, (first + block) * width)
    await multiply(asking, centres, width, products)
    for (let row = 0; row < asking.length / width; row++) {
      pickBest(memory, row * cells, cells, values, nearest, (first + row) * wanted)
    }
  }
  return nearest
}

/** Columns looked through before the bound is taken anew */
const columnsAtOnce = 64

function pickBest(
  memory: RowMemory,
  from: number,
  cells: number,
  values: Float32Array,
  into: Int32Array,
  base: number,
): void {
  const { products, numbers } = memory
  const last = values.length - 1
  values.fill(Number.NEGATIVE_INFINITY)
  for (let first = 0; first < cells; first += columnsAtOnce) {
    const hits = memory.above(from + first, 0, Math.min(columnsAtOnce, cells - first), values[last]!)
    for (let hit = 0; hit < hits; hit++) {
      const cell = first + numbers[hit]!
      const value = products[from + cell]!
      if (value <= values[last]!) continue
      let at = last
      while (at > 0 && values[at - 1]! < value) {
        values[at] = values[at - 1]!
        into[base + at] = into[base + at - 1]!
        at--
      }
      values[at] = value
      into[base + at] = cell
    }
  }
}

type Lists = { starts: Int32Array; rows: Int32Array }

/** Rows of each cell, by the first `used` of the `visits` cells that each row names. */
function listByCell(nearest: Int32Array, count: number, visits: number, used: number, cells: number): Lists {
  const starts = new Int32Array(cells + 1)
  for (let row = 0; row < count; row++) {
    for (let j = 0; j < used; j++) starts[nearest[row * visits + j]! + 1]!++
  }
  for (let cell = 0; cell < cells; cell++) starts[cell + 1]! += starts[cell]!
  const next = starts.slice(0, cells)
  const rows = new Int32Array(starts[cells]!)
  for (let row = 0; row < count; row++) {
    for (let j = 0; j < used; j++) rows[next[nearest[row * visits + j]!]!++] = row
  }
  return { starts, rows }
}

function* pieces({ starts, rows }: Lists, cell: number, most: number): Generator<Int32Array> {
  for (let first = starts[cell]!; first < starts[cell + 1]!; first += most) {
    yield rows.subarray(first, Math.min(starts[cell + 1]!, first + most))
  }
}
