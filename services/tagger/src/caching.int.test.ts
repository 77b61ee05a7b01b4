import { events, type MetricSample } from '@tagloom/contracts'
import { completeJob, ensureTags, readStages } from '@tagloom/database'
import { Registry } from '@tagloom/service-kit'
import { expect, test, vi } from 'vitest'
import { openTagger, type TaggerUnderTest } from './testing.ts'

/** The lookups of all jobs so far: what their records say, and what Prometheus does. */
async function lookups(tagger: TaggerUnderTest, registry: Registry) {
  const samples = tagger.seen
    .filter(({ type }) => type === events.metricsSampled.type)
    .map(({ data }) => data as MetricSample)
  const record = (name: string) => samples.reduce((sum, { counters }) => sum + (counters[name] ?? 0), 0)
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('tagloom_query_cache_requests'))
  const prometheus = (outcome: string) =>
    lines.reduce((sum, line) => sum + (line.includes(`"${outcome}"`) ? Number(line.split(' ')[1]) : 0), 0)
  return {
    clusters: lines.filter((line) => line.includes('cache="clusters"')).map((line) => Number(line.split(' ')[1])),
    record: { hits: record('cache_hits'), misses: record('cache_misses') },
    prometheus: { hits: prometheus('hits'), misses: prometheus('misses') },
  }
}

/** What two jobs after each other give, the second with the vocabulary of the first and an import while its labels are matched. */
async function run(caching: boolean) {
  const tagger = await openTagger()
  try {
    const { db } = tagger.deps
    const registry = new Registry()
    await tagger.start({ ENABLE_QUERY_CACHING: caching }, registry)
    const wikiId = await tagger.wiki()
    await db.transaction((tx) => ensureTags(tx, wikiId, ['Sailing', 'Tax law'], 'human'))
    // Where no language model is configured these are keyphrases, four clusters a batch.
    const options = { labeller: 'llm' } as const
    const tags = []
    for (let k = 0; k < 2; k++) {
      const jobId = await tagger.clusteredJob(wikiId, options)
      using _ = k === 1 ? importWhileMatching(tagger, { wikiId, jobId }) : undefined
      await tagger.label(wikiId, jobId)
      const { rows } = await db.pool.query(
        `select c.cluster_no, t.label, c.confidence, c.method, encode(t.embedding, 'hex') as vector
         from cluster_tags c join tags t on t.id = c.tag_id where c.job_id = $1 order by c.cluster_no, c.rank`,
        [jobId],
      )
      tags.push(rows)
      await db.transaction((tx) => completeJob(tx, jobId, {}))
    }
    return { tags, ...(await lookups(tagger, registry)) }
  } finally {
    await tagger.close()
  }
}

/** Two changes, each after the labels were matched and before the transaction that holds the vocabulary. */
function importWhileMatching({ deps }: TaggerUnderTest, of: { wikiId: number; jobId: string }): Disposable {
  const commit = deps.relay.commit.bind(deps.relay)
  let imported = 0
  const spy = vi.spyOn(deps.relay, 'commit').mockImplementation(async (work) => {
    const stage = (await readStages(deps.db, of.jobId)).find((one) => one.stage === 'label')
    if (stage && stage.done === stage.total - 1 && imported < 2)
      await deps.db.transaction((tx) => ensureTags(tx, of.wikiId, [`Imported ${imported++}`], 'imported'))
    return commit(work)
  })
  return { [Symbol.dispose]: () => spy.mockRestore() }
}

test('labels are the same to the last bit without caches, and record and Prometheus count the same lookups', async () => {
  const [cached, uncached] = [await run(true), await run(false)]
  expect(uncached.tags).toEqual(cached.tags)
  expect(cached.tags[1]!.length).toBeGreaterThanOrEqual(6)
  // Two jobs of two batches.
  expect([cached.clusters, uncached.clusters]).toEqual([
    [2, 2],
    [0, 4],
  ])
  expect(cached.record).toEqual(cached.prometheus)
  expect(uncached.prometheus.hits).toBe(0)
  expect(uncached.record).toEqual(uncached.prometheus)
}, 90_000)
