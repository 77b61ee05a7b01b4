import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem, wikiAt } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MisbehavingServer, openMisbehavingServer } from '../../services/tagger/src/llm/misbehaving-server.ts'
import { type Misbehaviour, misbehaviours } from '../../services/tagger/src/llm/misbehaviours.ts'
import { type TopicWiki, topicWiki } from './topic-wiki.ts'

/*
 * Three tagger processes and a server that does each of its calls another wrong. Jobs of three wikis run at the same time, so that all
 * processes have labels to ask for.
 */

const ways = Object.keys(misbehaviours) as Misbehaviour[]
const timeoutMs = 4_000
const parallel = 3
let server: MisbehavingServer
let system: TestSystem
let db: Database
let wiki: TopicWiki
beforeAll(async () => {
  wiki = topicWiki(20)
  server = await openMisbehavingServer(50)
  system = await startTestSystem({
    replicas: { tagger: 3 },
    env: { ...server.variables({ timeoutMs, parallel }), INFERENCE_THREADS: '1' },
  })
  db = openDatabase({ url: system.databaseUrl, max: 2 })
}, 120_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  await server?.close()
  wiki?.remove()
})

interface LlmCounts {
  readonly calls: number
  readonly failures: number
  readonly timeouts: number
  readonly unreadable: number
}

/** Sums over the finished records of these jobs. */
async function recorded(jobIds: readonly string[]): Promise<LlmCounts> {
  const count = async () =>
    (
      await db.pool.query<LlmCounts & { records: number }>(
        `select count(*)::int as records, sum((metrics_json -> 'cost' ->> 'llm_calls')::int)::int as calls,
           sum(llm_failures)::int as failures, sum((metrics_json -> 'errors' ->> 'llm_timeouts')::int)::int as timeouts,
           sum(parsing_errors)::int as unreadable
         from clustering_metrics where job_id = any($1)`,
        [jobIds],
      )
    ).rows[0]!
  await expect.poll(async () => (await count()).records, { timeout: 30_000 }).toBe(jobIds.length)
  const { records: _, ...counts } = await count()
  return counts
}

// First, because the other leaves circuits open.
test('percentiles of the latency in the record are those of the calls as the server had them open', async () => {
  server.reset()
  server.ways = ['good', 'never answers', 'good', 'good']
  const wikiId = await system.import(await wikiAt(wiki.path, 'latencies'))
  const job = await system.run(wikiId, { labeller: 'llm', vocabulary: 'free', tags_per_cluster: 20 })
  await recorded([job.id])
  const { rows } = await db.pool.query<{
    latency: Record<'count' | 'mean' | 'p50' | 'p90' | 'p95' | 'p99' | 'max', number>
  }>(
    `select metrics_json -> 'distributions' -> 'llm_latency_ms' as latency from clustering_metrics where job_id = $1`,
    [job.id],
  )
  const { count, mean, p50, p90, p95, p99, max } = rows[0]!.latency
  const took = server.tookMs.toSorted((a, b) => a - b)
  const at = (share: number) => {
    const rank = share * (took.length - 1)
    const [low, high] = [took[Math.floor(rank)]!, took[Math.ceil(rank)]!]
    return low + (high - low) * (rank % 1)
  }
  const expected = [took.reduce((a, b) => a + b, 0) / took.length, ...[0.5, 0.9, 0.95, 0.99, 1].map(at)]
  expect(count).toBe(server.calls)
  expect(server.counts.timeout).toBeGreaterThan(0)
  for (const [k, value] of [mean, p50, p90, p95, p99, max].entries()) {
    // Beside the server's time the client's holds a connection, and waits for the processor; the two kinds of calls are 4 s apart.
    expect(Math.abs(value - expected[k]!)).toBeLessThan(500)
  }
}, 120_000)

test('three tagger processes complete every job, their records equal what the server did, and it has three calls at most', async () => {
  server.reset()
  server.ways = ways
  const wikis = []
  for (const name of ['a', 'b', 'c']) wikis.push(await system.import(await wikiAt(wiki.path, `misbehaving ${name}`)))
  const jobIds: string[] = []
  // Each number of tags is another question, which no earlier reply answers.
  for (let round = 0; round < 5 && server.calls < ways.length; round++) {
    const jobs = await Promise.all(
      wikis.map((wikiId, k) =>
        system.run(wikiId, { labeller: 'llm', vocabulary: 'free', tags_per_cluster: 3 + 3 * round + k }),
      ),
    )
    for (const job of jobs) {
      expect(job).toMatchObject({ status: 'completed', failure: null })
      jobIds.push(job.id)
    }
  }
  expect(server.calls).toBeGreaterThanOrEqual(ways.length)
  expect(await recorded(jobIds)).toEqual({
    calls: server.calls,
    failures: server.counts.failure,
    timeouts: server.counts.timeout,
    unreadable: server.counts.unreadable,
  })
  expect(server.mostAtOnce).toBeLessThanOrEqual(parallel)
  expect(server.mostAtOnce).toBeGreaterThan(1)
  expect(server.longestMs).toBeLessThan(timeoutMs + 1_000)
  const { rows } = await db.pool.query<{ n: number }>(
    `select count(distinct c.job_id || c.cluster_no)::int as n from cluster_tags c where c.job_id = any($1)`,
    [jobIds],
  )
  const all = await db.pool.query<{ n: number }>('select count(*)::int as n from clusters where job_id = any($1)', [
    jobIds,
  ])
  expect(rows[0]!.n).toBe(all.rows[0]!.n)
}, 300_000)
