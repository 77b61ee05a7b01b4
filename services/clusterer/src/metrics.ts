import { Counter, Histogram, type Registry } from '@tagloom/service-kit'

export interface ClusteringMetrics {
  clustered(pages: number, seconds: number): void
}

/** What Prometheus sees of clustering. */
export function measureClustering(registry: Registry): ClusteringMetrics {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'tagloom_clustering_seconds',
    help: 'Time from vectors to layers',
    buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers,
  })
  const pages = new Histogram({
    name: 'tagloom_clustering_pages',
    help: 'Pages of each clustering',
    buckets: [10, 100, 1_000, 10_000, 100_000],
    registers,
  })
  return {
    clustered(count, took) {
      pages.observe(count)
      seconds.observe(took)
    },
  }
}

/** What Prometheus sees of a cache: how often it was asked, and how often it knew. */
export function measureCache(registry: Registry, cache: string, counts: { hits: number; misses: number }): void {
  const told = { hits: 0, misses: 0 }
  new Counter({
    name: 'tagloom_query_cache_requests_total',
    help: 'Lookups in a query cache (ENABLE_QUERY_CACHING), by outcome',
    labelNames: ['cache', 'outcome'],
    registers: [registry],
    collect() {
      for (const outcome of ['hits', 'misses'] as const) {
        this.inc({ cache, outcome }, counts[outcome] - told[outcome])
        told[outcome] = counts[outcome]
      }
    },
  })
}
