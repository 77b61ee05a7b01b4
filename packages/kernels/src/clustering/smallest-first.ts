/**
 * Items by their sizes, the smallest first, of equal ones that with the lower number: a binary heap. An item that grows is added again, and what
 * was said of it before is passed over.
 */
export class SmallestFirst {
  readonly #sizes: Float64Array
  readonly #items: number[] = []
  readonly #sizesThen: number[] = []

  /** @param sizes by item, as they are at each moment; they only grow */
  constructor(sizes: Float64Array) {
    this.#sizes = sizes
  }

  add(item: number): void {
    const size = this.#sizes[item]!
    let at = this.#items.length
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.#before(size, item, above)) break
      this.#put(at, this.#sizesThen[above]!, this.#items[above]!)
      at = above
    }
    this.#put(at, size, item)
  }

  /** Takes the smallest out. @returns −1 when none is left */
  take(): number {
    while (this.#items.length > 0) {
      const item = this.#items[0]!
      const isCurrent = this.#sizesThen[0] === this.#sizes[item]
      this.#dropFirst()
      if (isCurrent) return item
    }
    return -1
  }

  #dropFirst(): void {
    const item = this.#items.pop()!
    const size = this.#sizesThen.pop()!
    const count = this.#items.length
    if (count === 0) return
    let at = 0
    for (let below = 1; below < count; below = 2 * at + 1) {
      if (below + 1 < count && this.#before(this.#sizesThen[below + 1]!, this.#items[below + 1]!, below)) below++
      if (this.#before(size, item, below)) break
      this.#put(at, this.#sizesThen[below]!, this.#items[below]!)
      at = below
    }
    this.#put(at, size, item)
  }

  #put(at: number, size: number, item: number): void {
    this.#items[at] = item
    this.#sizesThen[at] = size
  }

  #before(size: number, item: number, at: number): boolean {
    const other = this.#sizesThen[at]!
    return size < other || (size === other && item < this.#items[at]!)
  }
}
