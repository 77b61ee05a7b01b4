import { type Database, type Job, readStoredClusters, type StoredCluster } from '@tagloom/database'
import { LoadingCache, type TellLookups } from '@tagloom/service-kit'

const MOST_BYTES = 64 << 20

/**
 * A job's clusters with their centroids: each label batch holds its own against all of their layer. They never change, so that nothing can
 * be stale. ENABLE_QUERY_CACHING=false reads them for every batch.
 */
export class JobClusters {
  #db: Database
  #cache: LoadingCache<readonly StoredCluster[]>

  constructor(db: Database, enabled: boolean) {
    this.#db = db
    this.#cache = new LoadingCache({ enabled, mostBytes: MOST_BYTES, bytesOf })
  }

  get counts(): { readonly hits: number; readonly misses: number } {
    return this.#cache.counts
  }

  of({ id, wikiId }: Job, tell?: TellLookups): Promise<readonly StoredCluster[]> {
    return this.#cache.of(wikiId, id, () => readStoredClusters(this.#db, id), tell)
  }
}

/** Some 200 bytes for the object itself. */
const bytesOf = (clusters: readonly StoredCluster[]): number =>
  clusters.reduce((sum, { centroid, lineageId }) => sum + 200 + 2 * lineageId.length + centroid.byteLength, 0)
