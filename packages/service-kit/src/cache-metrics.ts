import { Counter, type Registry } from '@prometheus-io/client'
import type { CacheCounts } from './loading-cache.ts'

/** What Prometheus sees of a service's caches, by name: how often each was asked, and how often it knew. */
export function measureCaches(registry: Registry, caches: Readonly<Record<string, Readonly<CacheCounts>>>): void {
  const told = new Map<string, number>()
  new Counter({
    name: 'tagloom_query_cache_requests_total',
    help: 'Lookups in a query cache (ENABLE_QUERY_CACHING), by outcome',
    labelNames: ['cache', 'outcome'],
    registers: [registry],
    collect() {
      for (const [cache, counts] of Object.entries(caches)) {
        for (const outcome of ['hits', 'misses'] as const) {
          const key = `${cache} ${outcome}`
          this.inc({ cache, outcome }, counts[outcome] - (told.get(key) ?? 0))
          told.set(key, counts[outcome])
        }
      }
    },
  })
}
