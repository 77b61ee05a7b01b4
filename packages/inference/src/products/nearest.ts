import { cellNeighbours } from './cells.ts'
import type { Best, Products } from './products.ts'

export type NearestOptions = {
  /** Rows up to which every pair is compared */
  exactUpTo?: number
  /** Seed of the cells beyond that */
  seed?: number
  signal?: AbortSignal
  progress?: (share: number) => void
}

export type NearestRows = {
  k: number
  /** [rows × k], best first, without the row itself; −1 where fewer were found */
  indices: Int32Array
  similarities: Float32Array
}

const defaultExactUpTo = 20_000
/** Values of one block of the product: 32 MB, which stays in reach of the caches and bounds the memory. */
const blockValues = 8_388_608

/**
 * The k nearest other rows of each row of unit vectors by cosine, [rows × dims] row-major. Exact up to `exactUpTo` rows; beyond
 * that by cells (see cells.ts), which finds 95 % of them or more.
 */
export async function nearestRows(
  products: Products,
  rows: Float32Array,
  dims: number,
  k: number,
  options: NearestOptions = {},
): Promise<NearestRows> {
  const count = rows.length / dims
  if (!Number.isInteger(count) || k < 1 || k >= Math.max(2, count)) {
    throw new RangeError(`asked for ${k} neighbours among ${count} rows of ${dims}, expected 1 to ${count - 1}`)
  }
  if (count > (options.exactUpTo ?? defaultExactUpTo)) return cellNeighbours(products, rows, dims, k, options)
  const found = emptyRows(count, k)
  const block = Math.max(16, Math.min(1024, Math.floor(blockValues / count)))
  for (let first = 0; first < count; first += block) {
    options.signal?.throwIfAborted()
    const last = Math.min(count, first + block)
    const best = await products.best(rows.subarray(first * dims, last * dims), rows, dims, k + 1)
    for (let row = first; row < last; row++) copyWithoutSelf(best, row - first, row, k, found)
    options.progress?.(last / count)
  }
  return found
}

export function emptyRows(count: number, k: number): NearestRows {
  return { k, indices: new Int32Array(count * k).fill(-1), similarities: new Float32Array(count * k) }
}

function copyWithoutSelf({ indices, values }: Best, from: number, row: number, k: number, into: NearestRows): void {
  let at = row * k
  for (let j = from * (k + 1); j < (from + 1) * (k + 1) && at < (row + 1) * k; j++) {
    if (indices[j] === row) continue
    into.indices[at] = indices[j]!
    into.similarities[at++] = values[j]!
  }
}
