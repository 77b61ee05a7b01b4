import { type Database, readVocabulary, type StoredTag } from '@tagloom/database'
import { LoadingCache, type TellLookups } from '@tagloom/service-kit'

const MOST_BYTES = 64 << 20

/**
 * Wikis' tags with their vectors, as the label batches of a job ask for them again and again. A change of the vocabulary drops them in
 * every replica; what labels are matched with is compared with the database before anything is written. ENABLE_QUERY_CACHING=false does without.
 */
export class Vocabularies {
  #db: Database
  #cache: LoadingCache<readonly StoredTag[]>

  constructor(db: Database, enabled: boolean) {
    this.#db = db
    this.#cache = new LoadingCache({ enabled, mostBytes: MOST_BYTES, bytesOf })
  }

  get counts(): { readonly hits: number; readonly misses: number } {
    return this.#cache.counts
  }

  of(wikiId: number, model: string, tell?: TellLookups): Promise<readonly StoredTag[]> {
    return this.#cache.of(wikiId, `${wikiId} ${model}`, () => readVocabulary(this.#db, wikiId, model), tell)
  }

  forget(wikiId: number): void {
    this.#cache.forget(wikiId)
  }
}

/** Text of two bytes a character, and some 200 for the object itself. */
const bytesOf = (tags: readonly StoredTag[]): number =>
  tags.reduce((sum, tag) => sum + 200 + 2 * (tag.label.length + tag.form.length) + (tag.embedding?.byteLength ?? 0), 0)
