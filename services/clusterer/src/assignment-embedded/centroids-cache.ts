import { type Database, readJob, readStoredClusters } from '@tagloom/database'
import { LRUCache } from 'lru-cache'

/** The chosen layer of a run, as pages are assigned to it. */
export interface RunCentroids {
  readonly jobId: string
  readonly model: string
  readonly dims: number
  readonly numbers: readonly number[]
  readonly lineageIds: readonly string[]
  /** [clusters × dims], unit length */
  readonly centroids: Float32Array
  readonly joinThresholds: Float32Array
}

const mostBytes = 64 * 1_048_576

/**
 * Centroids by job. The clusters of a job never change, and who asks names the job that is the wiki's current one: a new run is
 * another key, so that nothing can be stale. ENABLE_QUERY_CACHING=false reads them each time.
 */
export class CentroidsCache {
  readonly counts = { hits: 0, misses: 0 }
  #db: Database
  #cache: LRUCache<string, RunCentroids> | undefined

  constructor(db: Database, caching: boolean) {
    this.#db = db
    const sizeCalculation = ({ centroids }: RunCentroids) => centroids.byteLength + 1_024
    this.#cache = caching ? new LRUCache({ maxSize: mostBytes, sizeCalculation }) : undefined
  }

  async of(jobId: string): Promise<RunCentroids> {
    const known = this.#cache?.get(jobId)
    if (known) {
      this.counts.hits++
      return known
    }
    this.counts.misses++
    const loaded = await load(this.#db, jobId)
    this.#cache?.set(jobId, loaded)
    return loaded
  }
}

async function load(db: Database, jobId: string): Promise<RunCentroids> {
  const [job, stored] = await Promise.all([readJob(db, jobId), readStoredClusters(db, jobId)])
  const clusters = stored.filter((cluster) => cluster.chosen)
  const dims = clusters[0]?.centroid.length ?? 0
  const centroids = new Float32Array(clusters.length * dims)
  for (const [i, cluster] of clusters.entries()) centroids.set(cluster.centroid, i * dims)
  return {
    jobId,
    model: job?.model ?? '',
    dims,
    numbers: clusters.map((cluster) => cluster.no),
    lineageIds: clusters.map((cluster) => cluster.lineageId),
    centroids,
    joinThresholds: Float32Array.from(clusters, (cluster) => cluster.joinThreshold),
  }
}
