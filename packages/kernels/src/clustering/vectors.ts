/** Vectors that cannot be clustered. `row` is the first page that is at fault, where one is, and `finding` what is wrong with it. */
export class VectorError extends Error {
  readonly code = 'VECTORS_NOT_USABLE'
  readonly row: number | undefined
  readonly finding: string

  constructor(finding: string, row?: number) {
    super(row === undefined ? finding : `row ${row} ${finding}`)
    this.name = 'VectorError'
    this.row = row
    this.finding = finding
  }
}

const unitTolerance = 1e-4

/**
 * The same vectors at unit length, [pages × dims] row-major. Returns the argument itself where it is that already, so that
 * large wikis are not copied; it is never written to.
 */
export function unitVectors(vectors: Float32Array, dims: number): Float32Array {
  if (!Number.isInteger(dims) || dims < 1) throw new VectorError(`dims is ${dims}, expected a whole number from 1`)
  if (vectors.length % dims !== 0) {
    throw new VectorError(`${vectors.length} values are no whole number of vectors of ${dims}`)
  }
  let result = vectors
  for (let row = 0; row * dims < vectors.length; row++) {
    let square = 0
    for (let at = row * dims; at < (row + 1) * dims; at++) square += vectors[at]! * vectors[at]!
    if (!Number.isFinite(square)) {
      throw new VectorError('holds a value that is no finite number', row)
    }
    if (square === 0) throw new VectorError('is all zeros', row)
    const length = Math.sqrt(square)
    if (Math.abs(length - 1) <= unitTolerance) continue
    if (result === vectors) result = vectors.slice()
    for (let at = row * dims; at < (row + 1) * dims; at++) result[at] = vectors[at]! / length
  }
  return result
}

export type Distinct = {
  /** First row of each distinct vector */
  rows: Int32Array
  /** Distinct vector of each row */
  of: Int32Array
  /** Rows that each distinct vector stands for */
  counts: Float64Array
}

/** Finds rows that are equal bit by bit, so that hundreds of copies of a stub count as one point with a weight. */
export function distinctRows(vectors: Float32Array, dims: number): Distinct {
  const bits = new Uint32Array(vectors.buffer, vectors.byteOffset, vectors.length)
  const pages = vectors.length / dims
  const byHash = new Map<number, number[]>()
  const rows: number[] = []
  const counts: number[] = []
  const of = new Int32Array(pages)
  for (let row = 0; row < pages; row++) {
    const hash = hashRow(bits, row, dims)
    const alike = byHash.get(hash)
    const found = alike?.find((distinct) => equalRows(bits, rows[distinct]!, row, dims))
    if (found !== undefined) {
      of[row] = found
      counts[found]!++
      continue
    }
    if (alike) alike.push(rows.length)
    else byHash.set(hash, [rows.length])
    of[row] = rows.length
    rows.push(row)
    counts.push(1)
  }
  return { rows: Int32Array.from(rows), of, counts: Float64Array.from(counts) }
}

/** FNV-1a over whole words. */
function hashRow(bits: Uint32Array, row: number, dims: number): number {
  let hash = 0x811c9dc5
  for (let at = row * dims; at < (row + 1) * dims; at++) hash = Math.imul(hash ^ bits[at]!, 0x01000193) ^ (hash >>> 15)
  return hash
}

function equalRows(bits: Uint32Array, a: number, b: number, dims: number): boolean {
  for (let j = 0; j < dims; j++) if (bits[a * dims + j] !== bits[b * dims + j]) return false
  return true
}

/** The given rows of `vectors`, which are ascending and different, [rows × dims]; the argument itself where those are all. */
export function takeRows(vectors: Float32Array, dims: number, rows: Int32Array): Float32Array {
  if (rows.length * dims === vectors.length) return vectors
  const taken = new Float32Array(rows.length * dims)
  for (let i = 0; i < rows.length; i++) taken.set(vectors.subarray(rows[i]! * dims, (rows[i]! + 1) * dims), i * dims)
  return taken
}
