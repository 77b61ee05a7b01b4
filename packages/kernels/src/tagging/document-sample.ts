/**
 * The words of documents in bounded memory, for WordDocuments: those of all documents until they are more than `mostWords`, then of every
 * second document, every fourth …, spread evenly over all that came. The first ones alone would not do: wikis come ordered by topic.
 */
export class DocumentSample {
  #mostWords: number
  #ids = new Map<string, number>()
  #words: string[] = []
  #kept: Uint32Array[] = []
  #keptWords = 0
  /** Of how many documents one is kept, a power of two */
  #stride = 1
  #seen = 0

  /** @param mostWords different words of each document, over all that are kept: four bytes each, and each word's text once */
  constructor(mostWords: number) {
    this.#mostWords = mostWords
  }

  /** @param words different ones */
  add(words: readonly string[]): void {
    if (this.#seen++ % this.#stride !== 0) return
    this.#keep(words)
    while (this.#keptWords > this.#mostWords && this.#kept.length > 1) this.#thin()
  }

  /** Words of each document that is kept, in the order in which they came. */
  *[Symbol.iterator](): Generator<string[]> {
    for (const ids of this.#kept) yield Array.from(ids, (id) => this.#words[id]!)
  }

  #keep(words: readonly string[]): void {
    this.#kept.push(Uint32Array.from(words, (word) => this.#idOf(word)))
    this.#keptWords += words.length
  }

  #idOf(word: string): number {
    const known = this.#ids.get(word)
    if (known !== undefined) return known
    this.#ids.set(word, this.#words.length)
    return this.#words.push(word) - 1
  }

  /** Every second one goes, and the words that only those had. */
  #thin(): void {
    const left = [...this].filter((_, at) => at % 2 === 0)
    this.#ids.clear()
    this.#words = []
    this.#kept = []
    this.#keptWords = 0
    this.#stride *= 2
    for (const words of left) this.#keep(words)
  }
}
