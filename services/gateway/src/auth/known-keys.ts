import { type ApiKeyRow, type Database, findApiKey } from '@tagloom/database'

/** How long a key that was revoked through another gateway still works here */
const rememberMs = 5_000
const maxRemembered = 1_000

/** Looks keys up by their hash, and remembers the good ones for a moment: a request then costs no query. */
export class KnownKeys {
  readonly #db: Database
  readonly #now: () => number
  readonly #known = new Map<string, { readonly row: ApiKeyRow; readonly until: number }>()

  constructor(db: Database, now: () => number = Date.now) {
    this.#db = db
    this.#now = now
  }

  /** The key, where it was looked up a moment ago. */
  remembered(hash: string): ApiKeyRow | undefined {
    const known = this.#known.get(hash)
    return known && known.until > this.#now() ? known.row : undefined
  }

  async find(hash: string): Promise<ApiKeyRow | undefined> {
    const known = this.remembered(hash)
    if (known) return known
    this.#known.delete(hash)
    const row = await findApiKey(this.#db, hash)
    if (!row) return undefined
    if (this.#known.size >= maxRemembered) this.#known.delete(this.#known.keys().next().value as string)
    this.#known.set(hash, { row, until: this.#now() + rememberMs })
    return row
  }

  forget(keyId: number): void {
    for (const [hash, { row }] of this.#known) if (row.id === keyId) this.#known.delete(hash)
  }
}
