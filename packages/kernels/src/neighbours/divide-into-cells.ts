import type { NeighbourOptions } from './find-neighbours.ts'
import { mulberry32 } from './mulberry32.ts'
import type { RowMemory } from './row-memory.ts'

/** Rows of one product with all centres */
export const mostAsking = 1_024
const cellsPerRoot = 2
const rowsPerCellToTrain = 16
const trainingSteps = 3
/** Cells named for each row: with fewer, rows that lie between all cells miss too many of their neighbours */
const mostNamed = 32

/** Rows divided into cells. What the sizes cost and find is in docs/decisions on neighbours. */
export type Division = {
  cells: number
  /** Cells named for each row */
  named: number
  /** The cells whose centres are nearest to each row, the nearest first, [rows × named] */
  nearest: Int32Array
  /** How much less similar to the row each of them is than the first, 0 and more, ascending, [rows × named] */
  gaps: Float32Array
}

/** By k-means on a sample, 2√rows cells. */
export async function divideIntoCells(memory: RowMemory, seed: number, options: NeighbourOptions): Promise<Division> {
  const { count } = memory
  const cells = Math.min(count, Math.round(Math.sqrt(count) * cellsPerRoot))
  const centres = await trainCentres(memory, cells, seed, options)
  options.progress?.(0.2)
  const named = Math.min(cells, mostNamed)
  const { nearest, values: gaps } = await nearestCentres(memory, memory.rows, centres, named, options)
  for (let first = 0; first < gaps.length; first += named) {
    const most = gaps[first]!
    for (let at = first; at < first + named; at++) gaps[at] = most - gaps[at]!
  }
  options.progress?.(0.4)
  return { cells, named, nearest, gaps }
}

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
    const { nearest } = await nearestCentres(memory, training, centres, 1, options)
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

/** The `wanted` nearest centres of each row, best first, with their similarities, both [rows × wanted]. */
async function nearestCentres(
  memory: RowMemory,
  rows: Float32Array,
  centres: Float32Array,
  wanted: number,
  { multiply, signal }: NeighbourOptions,
): Promise<{ nearest: Int32Array; values: Float32Array }> {
  const { width, products, bounds } = memory
  const cells = centres.length / width
  const nearest = new Int32Array((rows.length / width) * wanted)
  const values = new Float32Array(nearest.length)
  const block = Math.max(1, Math.min(mostAsking, Math.floor(products.length / cells)))
  bounds.fill(Number.POSITIVE_INFINITY)
  for (let first = 0; first < rows.length / width; first += block) {
    signal?.throwIfAborted()
    const asking = rows.subarray(first * width, (first + block) * width)
    await multiply(asking, centres, width, products)
    for (let row = 0; row < asking.length / width; row++) {
      const at = (first + row) * wanted
      pickBest(memory, row * cells, cells, values.subarray(at, at + wanted), nearest, at)
    }
  }
  return { nearest, values }
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
