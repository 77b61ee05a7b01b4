/** Working memory of `sortCounting`, for up to so many values as its arrays hold. */
export interface SortScratch {
  readonly keys: Float64Array
  readonly order: Int32Array
}

/** Runs of so many are sorted by insertion, then merged: fewer passes over a short series. */
const insertionRun = 8

/**
 * Sorts the first `n` keys, ascending and stable, and moves `order` along with them.
 * @returns the pairs that stood the wrong way round (equal keys stand right), exact: n log n steps instead of one for each pair
 */
export function sortCounting(keys: Float64Array, order: Int32Array, n: number, scratch: SortScratch): number {
  let inversions = 0
  for (let from = 0; from < n; from += insertionRun)
    inversions += sortRun(keys, order, from, Math.min(from + insertionRun, n))
  let [fromKeys, fromOrder, toKeys, toOrder] = [keys, order, scratch.keys, scratch.order]
  for (let width = insertionRun; width < n; width *= 2) {
    for (let left = 0; left < n; left += 2 * width) {
      const middle = Math.min(left + width, n)
      const right = Math.min(left + 2 * width, n)
      let i = left
      let j = middle
      for (let k = left; k < right; k++)
        if (j >= right || (i < middle && fromKeys[i]! <= fromKeys[j]!)) {
          toKeys[k] = fromKeys[i]!
          toOrder[k] = fromOrder[i++]!
        } else {
          inversions += middle - i
          toKeys[k] = fromKeys[j]!
          toOrder[k] = fromOrder[j++]!
        }
    }
    ;[fromKeys, fromOrder, toKeys, toOrder] = [toKeys, toOrder, fromKeys, fromOrder]
  }
  if (fromKeys !== keys) {
    keys.set(fromKeys.subarray(0, n))
    order.set(fromOrder.subarray(0, n))
  }
  return inversions
}

function sortRun(keys: Float64Array, order: Int32Array, from: number, to: number): number {
  let inversions = 0
  for (let q = from + 1; q < to; q++) {
    const key = keys[q]!
    const index = order[q]!
    let p = q - 1
    for (; p >= from && keys[p]! > key; p--) {
      keys[p + 1] = keys[p]!
      order[p + 1] = order[p]!
    }
    keys[p + 1] = key
    order[p + 1] = index
    inversions += q - 1 - p
  }
  return inversions
}
