import { Counter, type Registry } from '@tagloom/service-kit'

export interface CacheCounts {
  hits: number
  misses: number
}

/** What Prometheus sees of a cache: how often it was asked, and how often it knew. */
export function measureCache(registry: Registry, cache: string, counts: CacheCounts): void {
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
