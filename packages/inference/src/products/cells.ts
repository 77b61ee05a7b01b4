import { improveNeighbours } from './improve-neighbours.ts'
import { emptyRows, type NearestOptions, type NearestRows } from './nearest.ts'
import type { Products } from './products.ts'

/**
 * Approximate nearest rows by inverted lists (Jégou, Douze & Schmid 2011, section 4, without the quantised products):
 *  1. k-means on a sample makes about √rows cells, each row belongs to the nearest;
 *  2. each row looks into the cells whose centres are nearest to it (the probes), one product for each cell;
 *  3. what the cells return is merged, best first.
 * Work grows with rows^1.5; memory is one cell's product beside the result. Deterministic for a seed.
 */
export async function cellNeighbours(
  products: Products,
  rows: Float32Array,
  dims: number,
  k: number,
  { seed = 42, signal, progress }: NearestOptions,
): Promise<NearestRows> {
  const count = rows.length / dims
  const cells = Math.round(Math.sqrt(count) * cellsPerRoot)
  const centres = await trainCentres(products, rows, dims, cells, seed, signal)
  progress?.(0.1)
  const probes = Math.max(1, Math.round(cells * probedShare))
  const nearestCells = await inBlocks(products, rows, dims, centres, probes, signal)
  const members = listByCell(nearestCells, count, probes, 1, cells)
  const visitors = listByCell(nearestCells, count, probes, probes, cells)
  const found = emptyRows(count, k)
  const filled = new Uint8Array(count)
  for (let cell = 0; cell < cells; cell++) {
    const inside = members.rows.subarray(members.starts[cell]!, members.starts[cell + 1]!)
    if (inside.length === 0) continue
    const wanted = Math.min(k + 1, inside.length)
    const block = Math.max(64, Math.floor(blockValues / inside.length))
    for (let first = visitors.starts[cell]!; first < visitors.starts[cell + 1]!; first += block) {
      signal?.throwIfAborted()
      const asking = visitors.rows.subarray(first, Math.min(visitors.starts[cell + 1]!, first + block))
      const { values, indices } = await products.bestWithin(rows, dims, asking, inside, wanted)
      for (let i = 0; i < asking.length; i++)
        merge(found, filled, asking[i]!, inside, indices, values, i * wanted, wanted)
    }
    progress?.(0.15 + (0.85 * (cell + 1)) / cells)
  }
  improveNeighbours(rows, dims, found)
  return found
}

const cellsPerRoot = 1
/** With one round of improvement this finds 95 % or more on all sets tried; see docs/decisions on neighbours. */
const probedShare = 0.09
const rowsPerCellToTrain = 48
const trainingSteps = 4
const blockValues = 4_194_304

async function trainCentres(
  products: Products,
  rows: Float32Array,
  dims: number,
  cells: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const sample = sampleRows(rows.length / dims, cells * rowsPerCellToTrain, seed)
  const training = new Float32Array(sample.length * dims)
  for (let i = 0; i < sample.length; i++)
    training.set(rows.subarray(sample[i]! * dims, (sample[i]! + 1) * dims), i * dims)
  let centres: Float32Array = training.slice(0, cells * dims)
  for (let step = 0; step < trainingSteps; step++) {
    const nearest = await inBlocks(products, training, dims, centres, 1, signal)
    const sums = new Float32Array(cells * dims)
    for (let i = 0; i < sample.length; i++) {
      const into = nearest[i]! * dims
      for (let j = 0; j < dims; j++) sums[into + j]! += training[i * dims + j]!
    }
    centres = normalise(sums, centres, dims)
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
  return order.slice(0, size)
}

/** An empty cell keeps its old centre. */
function normalise(sums: Float32Array, old: Float32Array, dims: number): Float32Array {
  for (let first = 0; first < sums.length; first += dims) {
    let square = 0
    for (let j = first; j < first + dims; j++) square += sums[j]! * sums[j]!
    const scale = 1 / Math.sqrt(square)
    for (let j = first; j < first + dims; j++) sums[j] = square === 0 ? old[j]! : sums[j]! * scale
  }
  return sums
}

async function inBlocks(
  products: Products,
  rows: Float32Array,
  dims: number,
  centres: Float32Array,
  k: number,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const count = rows.length / dims
  const nearest = new Int32Array(count * k)
  const block = Math.max(64, Math.floor((blockValues * dims) / centres.length))
  for (let first = 0; first < count; first += block) {
    signal?.throwIfAborted()
    const { indices } = await products.best(rows.subarray(first * dims, (first + block) * dims), centres, dims, k)
    nearest.set(indices, first * k)
  }
  return nearest
}

/** Rows of each cell, by the first `used` of the `probes` cells that each row names. */
function listByCell(nearestCells: Int32Array, count: number, probes: number, used: number, cells: number) {
  const starts = new Int32Array(cells + 1)
  for (let row = 0; row < count; row++) {
    for (let j = 0; j < used; j++) starts[nearestCells[row * probes + j]! + 1]!++
  }
  for (let cell = 0; cell < cells; cell++) starts[cell + 1]! += starts[cell]!
  const next = starts.slice(0, cells)
  const rows = new Int32Array(starts[cells]!)
  for (let row = 0; row < count; row++) {
    for (let j = 0; j < used; j++) rows[next[nearestCells[row * probes + j]!]!++] = row
  }
  return { starts, rows }
}

function merge(
  found: NearestRows,
  filled: Uint8Array,
  row: number,
  inside: Int32Array,
  indices: Int32Array,
  values: Float32Array,
  from: number,
  wanted: number,
): void {
  const { k } = found
  const base = row * k
  for (let j = from; j < from + wanted; j++) {
    const value = values[j]!
    const size = filled[row]!
    if (size === k && value <= found.similarities[base + k - 1]!) return
    const neighbour = inside[indices[j]!]!
    if (neighbour === row) continue
    let at = size === k ? k - 1 : size
    while (at > 0 && found.similarities[base + at - 1]! < value) {
      found.similarities[base + at] = found.similarities[base + at - 1]!
      found.indices[base + at] = found.indices[base + at - 1]!
      at--
    }
    found.similarities[base + at] = value
    found.indices[base + at] = neighbour
    if (size < k) filled[row] = size + 1
  }
}

/** A small generator of good quality for such purposes: 32 bits of state, values from 0 up to 1. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
