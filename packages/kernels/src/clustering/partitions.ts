/** Normalised mutual information of two partitions of the same weighted nodes, 0 to 1; two single clusters are alike (1). */
export function similarityOfPartitions(a: Int32Array, b: Int32Array, sizes: Float64Array): number {
  const sizesA = new Map<number, number>()
  const sizesB = new Map<number, number>()
  const both = new Map<number, number>()
  const width = b.reduce((most, label) => Math.max(most, label), 0) + 1
  let all = 0
  for (let node = 0; node < a.length; node++) {
    const size = sizes[node]!
    all += size
    sizesA.set(a[node]!, (sizesA.get(a[node]!) ?? 0) + size)
    sizesB.set(b[node]!, (sizesB.get(b[node]!) ?? 0) + size)
    const key = a[node]! * width + b[node]!
    both.set(key, (both.get(key) ?? 0) + size)
  }
  const entropyA = entropy(sizesA, all)
  const entropyB = entropy(sizesB, all)
  if (entropyA + entropyB < 1e-12) return 1
  return Math.max(0, (2 * (entropyA + entropyB - entropy(both, all))) / (entropyA + entropyB))
}

function entropy(sizes: Map<number, number>, all: number): number {
  let sum = 0
  for (const size of sizes.values()) if (size > 0) sum -= (size / all) * Math.log(size / all)
  return sum
}

/** Parts of `a` cut along the borders of `b`. */
export function intersect(a: Int32Array, b: Int32Array): Int32Array {
  const width = b.reduce((most, label) => Math.max(most, label), -1) + 2
  const numbers = new Map<number, number>()
  return a.map((label, node) => {
    const key = label * width + b[node]! + 1
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    return number
  })
}
