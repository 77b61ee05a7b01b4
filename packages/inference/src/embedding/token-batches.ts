/** A batch of texts that go through the model together: their positions in the input, and the length they are padded to. */
export interface TokenBatch {
  readonly rows: readonly number[]
  readonly tokens: number
}

/**
 * Groups texts by length, so that a batch holds at most `budget` tokens, padding included, and little padding.
 * A text longer than the budget is a batch of its own. The order within equal lengths is the input's: stable.
 */
export function planTokenBatches(lengths: ArrayLike<number>, budget: number): TokenBatch[] {
  const order = Uint32Array.from({ length: lengths.length }, (_, i) => i)
  order.sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  const batches: TokenBatch[] = []
  let rows: number[] = []
  for (const row of order) {
    if (rows.length > 0 && (rows.length + 1) * lengths[row]! > budget) {
      batches.push({ rows, tokens: lengths[rows.at(-1)!]! })
      rows = []
    }
    rows.push(row)
  }
  if (rows.length > 0) batches.push({ rows, tokens: lengths[rows.at(-1)!]! })
  return batches
}
