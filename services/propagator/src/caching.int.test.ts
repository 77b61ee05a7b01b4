import { Registry } from '@tagloom/service-kit'
import { expect, test } from 'vitest'
import { openPropagators } from './testing.ts'

/** A job of sixty pages in nine batches, by one replica: its page tags to the last bit, and what was counted of its lookups. */
async function run(caching: boolean) {
  const propagators = await openPropagators()
  const { prepare, propagate, tagsOf, samplesOf } = propagators
  try {
    const registry = new Registry()
    await propagators.start(caching, registry)
    const job = await prepare({ confidence_threshold: 0.05 })
    await propagate(job)
    const tags = (await tagsOf(job.jobId)).map(({ page, tag, origin, confidence }) => {
      return [job.pageIds.indexOf(page), job.tagIds.indexOf(tag), origin, confidence]
    })
    const sum = (name: string) => samplesOf(job.jobId).reduce((all, { counters }) => all + (counters[name] ?? 0), 0)
    return {
      tags,
      record: [sum('cache_hits'), sum('cache_misses')],
      prometheus: [await lookups(registry, 'hits'), await lookups(registry, 'misses')],
    }
  } finally {
    await propagators.close()
  }
}

async function lookups(registry: Registry, outcome: string): Promise<number> {
  const line = new RegExp(`^tagloom_query_cache_requests_total\\{cache="job_tags",outcome="${outcome}"\\} (\\d+)$`, 'm')
  return Number(line.exec(await registry.metrics())?.[1])
}

test('page tags are the same without the cache, and record and Prometheus count the same lookups', async () => {
  const [cached, uncached] = [await run(true), await run(false)]
  expect(cached.tags.length).toBeGreaterThanOrEqual(50)
  expect(uncached.tags).toEqual(cached.tags)
  expect([cached.record, cached.prometheus]).toEqual([
    [8, 1],
    [8, 1],
  ])
  expect([uncached.record, uncached.prometheus]).toEqual([
    [0, 9],
    [0, 9],
  ])
})
