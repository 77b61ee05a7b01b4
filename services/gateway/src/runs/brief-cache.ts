/**
 * Remembers answers for a moment: a dashboard that asks a thousand times a second costs two queries a second, and an answer is never older
 * than `forMs`. Askers of the same thing at once share one computation; a failure is not remembered, nor what does not last.
 */
export class BriefCache<Value> {
  readonly #forMs: number
  readonly #most: number
  readonly #now: () => number
  readonly #entries = new Map<string, { readonly value: Promise<Value>; readonly until: number }>()

  /** @param forMs 0: nothing is remembered */
  constructor(forMs: number, most = 1_000, now: () => number = Date.now) {
    this.#forMs = forMs
    this.#most = most
    this.#now = now
  }

  get(key: string, compute: () => Promise<Value>, lasts: (value: Value) => boolean = () => true): Promise<Value> {
    const known = this.#entries.get(key)
    if (known && known.until > this.#now()) return known.value
    const value = compute()
    if (this.#forMs === 0) return value
    this.#entries.delete(key)
    if (this.#entries.size >= this.#most) this.#entries.delete(this.#entries.keys().next().value as string)
    const entry = { value, until: this.#now() + this.#forMs }
    this.#entries.set(key, entry)
    const forget = () => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    }
    value.then((made) => {
      if (!lasts(made)) forget()
    }, forget)
    return value
  }
}
