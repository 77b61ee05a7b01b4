/** Plain oracles and made-up wikis for the tests of this folder. */
import type { Neighbours } from '../neighbours/neighbour-lists.ts'

/** Repeatable numbers from −1 to 1. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2_147_483_648 - 1
  }
}

export function noise(pages: number, dims: number, seed = 1): Float32Array {
  const next = numbers(seed)
  return Float32Array.from({ length: pages * dims }, next)
}

/** Page k belongs to topic k % topics; `own` is how much of a page is its own. */
export function topics(pages: number, count: number, dims: number, own: number, seed = 1): Float32Array {
  const next = numbers(seed)
  const centres = Float32Array.from({ length: count * dims }, next)
  return Float32Array.from({ length: pages * dims }, (_, at) => {
    const topic = Math.floor(at / dims) % count
    return centres[topic * dims + (at % dims)]! + own * next()
  })
}

export function bruteNearest(vectors: Float32Array, dims: number, k: number): Neighbours {
  const count = vectors.length / dims
  const indices = new Int32Array(count * k).fill(-1)
  const similarities = new Float32Array(count * k)
  for (let row = 0; row < count; row++) {
    const others = Array.from({ length: count }, (_, other) => ({
      other,
      value: product(vectors, row, vectors, other, dims),
    }))
      .filter(({ other }) => other !== row)
      .sort((a, b) => b.value - a.value || a.other - b.other)
    for (const [i, { other, value }] of others.slice(0, k).entries()) {
      indices[row * k + i] = other
      similarities[row * k + i] = value
    }
  }
  return { k, indices, similarities, recall: 1 }
}

export async function bruteProduct(
  a: Float32Array,
  b: Float32Array,
  dims: number,
  into?: Float32Array,
): Promise<Float32Array> {
  const columns = b.length / dims
  const values = into ?? new Float32Array((a.length / dims) * columns)
  const count = (a.length / dims) * columns
  for (let at = 0; at < count; at++) values[at] = product(a, Math.floor(at / columns), b, at % columns, dims)
  return values.subarray(0, count)
}

function product(a: Float32Array, row: number, b: Float32Array, column: number, dims: number): number {
  let sum = 0
  for (let j = 0; j < dims; j++) sum += a[row * dims + j]! * b[column * dims + j]!
  return sum
}
