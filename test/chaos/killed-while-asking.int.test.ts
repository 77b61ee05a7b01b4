import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem, wikiAt } from '@tagloom/launcher/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type MisbehavingServer, openMisbehavingServer } from '../../services/tagger/src/llm/misbehaving-server.ts'
import { type TopicWiki, topicWiki } from '../e2e/topic-wiki.ts'
import { endOfJob, whenJobIsAt } from './job-watch.ts'

/*
 * Taggers that are killed, and a job that is cancelled, while the language model has calls in hand: what is held against the server is
 * how many calls it had at once, and what the record and the budget say that it did.
 */

const parallel = 3
const timeoutMs = 3_000
const tokensOfACall = 110
let wiki: TopicWiki
let server: MisbehavingServer
let system: TestSystem
let db: Database
beforeAll(async () => {
  wiki = topicWiki(20)
  server = await openMisbehavingServer()
  system = await startTestSystem({
    replicas: { tagger: 2 },
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

let openGate: () => void
beforeEach(() => {
  server.reset()
  server.gate = new Promise((resolve) => {
    openGate = resolve
  })
})
afterEach(() => openGate())

/** A job of a wiki of this name, whose calls the server holds: as many as may be. */
async function holdingCalls(name: string): Promise<string> {
  const wikiId = await system.import(await wikiAt(wiki.path, name))
  // Another question than those of other tests, which a kept reply answers.
  void system
    .run(wikiId, { labeller: 'llm', vocabulary: 'free', tags_per_cluster: 3 + name.length, llm_budget_tokens: 100_000 })
    .catch(() => {})
  const jobId = await whenJobIsAt(db, name, 'label')
  await expect.poll(() => server.open, { timeout: 30_000 }).toBe(parallel)
  return jobId
}

/** What the job's record says of its calls, once there is one. */
async function recorded(jobId: string): Promise<unknown> {
  const read = async () =>
    (
      await db.pool.query(
        `select (metrics_json -> 'cost' ->> 'llm_calls')::int as calls, (metrics_json -> 'cost' ->> 'llm_tokens')::int as tokens,
           (metrics_json -> 'cost' ->> 'llm_budget_percentage')::float8 as budget, llm_failures::int as failures
         from clustering_metrics where job_id = $1`,
        [jobId],
      )
    ).rows[0]
  await expect.poll(read, { timeout: 30_000 }).toBeTruthy()
  return read()
}

test('a tagger that is killed while it calls gives its slots back in time, and the record counts what it had asked for', async () => {
  const jobId = await holdingCalls('killed')
  for (const name of ['tagger', 'tagger-2']) system.service(name).kill()
  await expect.poll(() => server.open).toBe(0)
  openGate()
  expect(await endOfJob(db, jobId)).toBe('completed')
  expect(server.mostAtOnce).toBe(parallel)
  expect(server.calls).toBeGreaterThan(parallel)
  expect(server.answered).toBe(server.calls - parallel)
  const tokens = server.answered * tokensOfACall
  expect(await recorded(jobId)).toEqual({ calls: server.calls, tokens, budget: tokens / 1000, failures: parallel })
}, 150_000)

test('a kill after some of a batch was paid for loses none of it from the record', async () => {
  server.gate = Promise.resolve()
  server.ways = ['good', 'good', 'never answers']
  const name = 'half paid'
  const wikiId = await system.import(await wikiAt(wiki.path, name))
  void system.run(wikiId, { labeller: 'llm', vocabulary: 'free', tags_per_cluster: 20 }).catch(() => {})
  const jobId = await whenJobIsAt(db, name, 'label')
  // Six topics: four are answered, two calls hang.
  await expect.poll(() => [server.answered, server.open], { timeout: 30_000 }).toEqual([4, 2])
  const paid = () => db.pool.query(`select id from llm_calls where job_id = $1 and outcome = 'read'`, [jobId])
  await expect.poll(async () => (await paid()).rows.length).toBe(4)
  for (const each of ['tagger', 'tagger-2']) system.service(each).kill()
  server.ways = ['good']
  expect(await endOfJob(db, jobId)).toBe('completed')
  const tokens = server.answered * tokensOfACall
  expect(await recorded(jobId)).toEqual({ calls: server.calls, tokens, budget: null, failures: 2 })
}, 150_000)

test('a job that is cancelled while it calls ends its calls at once, frees the slots and writes nothing more', async () => {
  const jobId = await holdingCalls('cancelled job')
  const calls = server.calls
  expect((await system.call('POST', `/jobs/${jobId}/cancel`)).status).toBeLessThan(300)
  await expect.poll(() => server.open).toBe(0)
  const held = () => db.pool.query('select slot from llm_slots where expires_at > clock_timestamp()')
  await expect.poll(async () => (await held()).rows.length).toBe(0)
  openGate()
  expect(await endOfJob(db, jobId)).toMatch(/^cancelled: /)
  // A job that comes after it has the slots for itself, and ends: what the cancelled one had to do was dropped by then.
  const wikiId = await system.import(await wikiAt(wiki.path, 'after it'))
  expect((await system.run(wikiId, { labeller: 'keyphrases' })).status).toBe('completed')
  expect(server.calls).toBe(calls)
  const { rows } = await db.pool.query(
    `select (select count(*) from clusters where job_id = $1 and proposals is not null)::int as proposals,
       (select count(*) from cluster_tags where job_id = $1)::int as tags`,
    [jobId],
  )
  expect(rows[0]).toEqual({ proposals: 0, tags: 0 })
}, 150_000)
