import { LRUCache } from 'lru-cache'

/** A change that was not told (its event fell into the moment of a start) is seen after this. */
const STALE_AFTER_MS = 300_000
/** What an entry counts for while it is loaded */
const LOADING_BYTES = 1

export interface LoadingCacheOptions<Value> {
  /** ENABLE_QUERY_CACHING: when false everything is loaded each time */
  readonly enabled: boolean
  /** All values together; one that is larger is handed out and not kept */
  readonly mostBytes: number
  readonly bytesOf: (value: Value) => number
}

export interface CacheCounts {
  hits: number
  misses: number
}

/** Told how many lookups were answered and how many were not. */
export type TellLookups = (counts: Readonly<CacheCounts>) => void

/**
 * Values that are loaded once and kept until their wiki's vocabulary changes, the least recently used going first. Who asks while a value
 * is loaded waits for the same load. A load that was under way when its wiki was forgotten is not kept: it may have read what was before.
 */
export class LoadingCache<Value extends object> {
  readonly counts: CacheCounts = { hits: 0, misses: 0 }
  #bytesOf: (value: Value) => number
  #kept: LRUCache<string, { readonly wikiId: number; readonly value: Promise<Value> }> | undefined

  constructor({ enabled, mostBytes, bytesOf }: LoadingCacheOptions<Value>) {
    this.#bytesOf = bytesOf
    this.#kept = enabled ? new LRUCache({ maxSize: mostBytes, ttl: STALE_AFTER_MS }) : undefined
  }

  /** @param tell of the outcome, for whoever counts his own lookups */
  async of(wikiId: number, key: string, load: () => Promise<Value>, tell?: TellLookups): Promise<Value> {
    const known = this.#kept?.get(key)
    tell?.(known ? { hits: 1, misses: 0 } : { hits: 0, misses: 1 })
    if (known) {
      this.counts.hits++
      return known.value
    }
    this.counts.misses++
    const loading = { wikiId, value: load() }
    this.#kept?.set(key, loading, { size: LOADING_BYTES })
    try {
      const value = await loading.value
      // Another object with the same content: the cache does not weigh the same one again.
      if (this.#kept?.peek(key) === loading)
        this.#kept.set(key, { ...loading }, { size: Math.max(1, this.#bytesOf(value)) })
      return value
    } catch (error) {
      if (this.#kept?.peek(key) === loading) this.#kept.delete(key)
      throw error
    }
  }

  forget(wikiId: number): void {
    for (const [key, known] of this.#kept?.entries() ?? []) if (known.wikiId === wikiId) this.#kept?.delete(key)
  }

  /** Of what is kept now */
  get bytes(): number {
    return this.#kept?.calculatedSize ?? 0
  }
}
