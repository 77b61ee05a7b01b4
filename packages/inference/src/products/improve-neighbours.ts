import type { NearestRows } from './nearest.ts'

/**
 * Betters approximate neighbours by what they know of each other, in place (Dong, Moses & Li 2011, NN-descent, one round):
 * first each row offers itself to those it found, which needs no product; then each looks at the nearest of its nearest.
 */
export function improveNeighbours(rows: Float32Array, dims: number, found: NearestRows): void {
  offerReverse(found)
  lookAround(rows, dims, found)
}

const fromEach = 7

function offerReverse(found: NearestRows): void {
  const { k } = found
  const before = found.indices.slice()
  const values = found.similarities.slice()
  for (let at = 0; at < before.length; at++) {
    const row = Math.floor(at / k)
    if (before[at]! >= 0) offer(found, before[at]!, row, values[at]!)
  }
}

function lookAround(rows: Float32Array, dims: number, found: NearestRows): void {
  const { k, indices } = found
  const count = indices.length / k
  const looked = new Int32Array(count).fill(-1)
  const near = Math.min(k, fromEach)
  for (let row = 0; row < count; row++) {
    looked[row] = row
    for (let at = row * k; at < (row + 1) * k; at++) if (indices[at]! >= 0) looked[indices[at]!] = row
    for (let i = 0; i < near; i++) {
      const via = indices[row * k + i]!
      if (via < 0) break
      for (let at = via * k; at < via * k + near; at++) {
        const other = indices[at]!
        if (other < 0 || looked[other] === row) continue
        looked[other] = row
        const similarity = dot(rows, row * dims, other * dims, dims)
        offer(found, row, other, similarity)
        offer(found, other, row, similarity)
      }
    }
  }
}

/** Takes a neighbour in where it is nearer than the last and not there yet. */
function offer({ k, indices, similarities }: NearestRows, row: number, neighbour: number, similarity: number): void {
  const first = row * k
  let at = first + k - 1
  if (indices[at]! >= 0 && similarity <= similarities[at]!) return
  for (let i = first; i < first + k; i++) if (indices[i] === neighbour) return
  while (at > first && (indices[at - 1]! < 0 || similarities[at - 1]! < similarity)) {
    indices[at] = indices[at - 1]!
    similarities[at] = similarities[at - 1]!
    at--
  }
  indices[at] = neighbour
  similarities[at] = similarity
}

/** Four sums side by side, which the processor can run together. */
function dot(rows: Float32Array, a: number, b: number, dims: number): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let j = 0
  for (; j + 3 < dims; j += 4) {
    s0 += rows[a + j]! * rows[b + j]!
    s1 += rows[a + j + 1]! * rows[b + j + 1]!
    s2 += rows[a + j + 2]! * rows[b + j + 2]!
    s3 += rows[a + j + 3]! * rows[b + j + 3]!
  }
  for (; j < dims; j++) s0 += rows[a + j]! * rows[b + j]!
  return s0 + s1 + s2 + s3
}
