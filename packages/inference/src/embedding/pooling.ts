/** How one vector is made of a text's token vectors. `graph`: the model does it itself and puts out one vector a text. */
export type Pooling = 'mean' | 'cls' | 'last' | 'max' | 'graph'

/**
 * One text's vector from its token vectors, written to `out` ([dims]).
 * `hidden` is [tokens × dims] row-major from `offset`; only the first `tokens` rows are read, so padding on the right
 * has no part in it. Sums go token by token in float64: the same bits whatever the batch was.
 */
export function poolTokens(
  hidden: Float32Array,
  offset: number,
  tokens: number,
  pooling: Exclude<Pooling, 'graph'>,
  out: Float64Array,
): void {
  const dims = out.length
  if (pooling === 'cls' || pooling === 'last') {
    const from = offset + (pooling === 'cls' ? 0 : (tokens - 1) * dims)
    for (let d = 0; d < dims; d++) out[d] = hidden[from + d]!
    return
  }
  out.fill(pooling === 'max' ? Number.NEGATIVE_INFINITY : 0)
  for (let t = 0; t < tokens; t++) {
    const from = offset + t * dims
    if (pooling === 'max') for (let d = 0; d < dims; d++) out[d] = Math.max(out[d]!, hidden[from + d]!)
    else for (let d = 0; d < dims; d++) out[d] = out[d]! + hidden[from + d]!
  }
  if (pooling === 'mean') for (let d = 0; d < dims; d++) out[d] = out[d]! / tokens
}

/** Scales a vector to unit length in place; one of (nearly) no length becomes zeros, which is near to nothing. */
export function normalizeInPlace(vector: Float64Array): void {
  let squares = 0
  for (const value of vector) squares += value * value
  const scale = squares > 1e-24 ? 1 / Math.sqrt(squares) : 0
  for (let d = 0; d < vector.length; d++) vector[d] = vector[d]! * scale
}
