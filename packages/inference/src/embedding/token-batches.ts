/** A batch of texts that go through the model together: their positions in the input, and the length they are padded to. */
export interface TokenBatch {
  readonly rows: readonly number[]
  readonly tokens: number
}

/**
 * Which texts may share a batch:
 *   alone   none: the model's arithmetic depends on the batch
 *   equal   those of the same length: nothing is padded
 *   padded  all: the shorter ones are padded
 */
export type BatchSharing = 'alone' | 'equal' | 'padded'

/**
 * Groups texts by length, so that a batch holds at most `budget` tokens, padding included, and little padding.
 * A text longer than the budget is a batch of its own. The order within equal lengths is the input's: stable.
 */
export function planTokenBatches(lengths: ArrayLike<number>, budget: number, sharing: BatchSharing): TokenBatch[] {
  const order = Uint32Array.from({ length: lengths.length }, (_, i) => i)
  order.sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  const batches: TokenBatch[] = []
  let rows: number[] = []
  let tokens = 0
  for (const row of order) {
    const fits = sharing === 'padded' || (sharing === 'equal' && lengths[row] === tokens)
    if (rows.length > 0 && (!fits || (rows.length + 1) * lengths[row]! > budget)) {
      batches.push({ rows, tokens })
      rows = []
    }
    rows.push(row)
    tokens = lengths[row]!
  }
  if (rows.length > 0) batches.push({ rows, tokens })
  return batches
}
