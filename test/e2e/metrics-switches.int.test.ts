import { connectBus } from '@tagloom/bus'
import { type CloudEvent, events, everySubject, type RunRecord, toMessage } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type TopicWiki, topicWiki } from './topic-wiki.ts'

/* The two switches of run records, with the five services and a wiki of 42 pages. Each test runs what the other shows to be absent. */

let wiki: TopicWiki
let system: TestSystem | undefined
let db: Database
beforeAll(() => {
  wiki = topicWiki(7)
})
afterEach(async () => {
  await db?.close()
  await system?.stop()
})
afterAll(() => wiki.remove())

async function tagged(env: Record<string, string>) {
  const started = await startTestSystem({ env })
  system = started
  db = openDatabase({ url: started.databaseUrl, max: 2 })
  const { wikiId, job } = await started.tag(wiki.path)
  expect(job).toMatchObject({ status: 'completed', failure: null })
  expect(await rowsOf('page_tags', job.id)).toBeGreaterThan(0)
  return { started, wikiId, jobId: job.id }
}

async function rowsOf(table: string, jobId: string): Promise<number> {
  const { rows } = await db.pool.query(`select count(*)::int as rows from ${table} where job_id = $1`, [jobId])
  return rows[0].rows
}

/** Types of all events in the stream, once nothing is owed to it any more. */
async function sentTypes({ natsUrl, prefix }: TestSystem, wikiId: number, jobId: string): Promise<Set<string>> {
  await vi.waitUntil(async () => (await db.pool.query('select from outbox')).rowCount === 0, { timeout: 10_000 })
  const bus = await connectBus({ url: natsUrl, prefix, name: 'test' })
  const stop = new AbortController()
  try {
    const last = {
      wiki_id: wikiId,
      job_id: jobId,
      stage: 'cluster',
      done: 424_242,
      total: 424_242,
      unit: 'steps',
    } as const
    await bus.publish(toMessage(events.jobProgressed, last, { source: 'test' }))
    const isLast = ({ data }: CloudEvent) => (data as { done?: number }).done === last.done
    const types = new Set<string>()
    for await (const { envelope } of bus.follow({ subjects: [everySubject], fromSequence: 1, signal: stop.signal })) {
      types.add(envelope.type)
      if (isLast(envelope)) break
    }
    return types
  } finally {
    stop.abort()
    await bus.close()
  }
}

test('ENABLE_METRICS=false: the job is done, and nothing is sent or stored of how it went', async () => {
  const { started, wikiId, jobId } = await tagged({ ENABLE_METRICS: 'false' })
  const types = await sentTypes(started, wikiId, jobId)
  expect(types).toContain(events.jobCompleted.type)
  expect(types).not.toContain(events.metricsSampled.type)
  for (const table of ['metric_samples', 'clustering_metrics', 'run_evaluations'])
    expect(await rowsOf(table, jobId), table).toBe(0)
  expect(await started.call('GET', `/jobs/${jobId}/metrics`)).toMatchObject({
    status: 404,
    body: { detail: expect.stringContaining('ENABLE_METRICS=false') },
  })
}, 60_000)

test('STORE_METRICS_IN_DB=false: the record is live and judged, and nothing of it is in the database', async () => {
  const { started, wikiId, jobId } = await tagged({ STORE_METRICS_IN_DB: 'false' })
  expect(await sentTypes(started, wikiId, jobId)).toContain(events.metricsSampled.type)
  const judged = 'select from run_evaluations where job_id = $1 and evaluated_at is not null'
  await vi.waitUntil(async () => (await db.pool.query(judged, [jobId])).rowCount === 1, { timeout: 20_000 })
  const read = async (): Promise<{ record?: RunRecord; live?: boolean }> =>
    (await started.call('GET', `/jobs/${jobId}/metrics`)).body
  const whole = async () => {
    const { received, expected } = (await read()).record?.samples ?? { received: 0, expected: null }
    return received === expected
  }
  await vi.waitUntil(whole, { timeout: 10_000, interval: 50 })
  expect(await read()).toMatchObject({ live: true, record: { job_id: jobId, coverage: { pages_processed: 42 } } })
  for (const table of ['metric_samples', 'clustering_metrics']) expect(await rowsOf(table, jobId), table).toBe(0)
}, 60_000)
