import { type Bus, connectBus } from '@tagloom/bus'
import { events, type MetricSample, type RunRecord, toMessage } from '@tagloom/contracts'
import { createJob, type Database, openDatabase, startNextJob } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { type ServerSentEvent, serverSentEvents, startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/*
 * How old the record of a running job is where it is shown. The job runs in the database alone, so that the only samples are the test's own;
 * each is timed from before it is published until it is seen.
 */

const withinMs = 1_000
const samplesSent = 5

let system: TestSystem
let db: Database
let bus: Bus
let wikiId: number
beforeAll(async () => {
  // No watchdog: it would find a job whose message was never sent.
  system = await startTestSystem({ env: { WATCHDOG_INTERVAL_SECONDS: '3600' } })
  db = openDatabase({ url: system.databaseUrl, max: 2 })
  bus = await connectBus({ url: system.natsUrl, prefix: system.prefix, name: 'test' })
}, 120_000)
afterAll(async () => {
  await bus?.close()
  await db?.close()
  await system?.stop()
})

/** A job that runs, of a wiki of its own. */
async function runningJob(): Promise<string> {
  wikiId = await createTestWiki(db)
  return db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!.id
  })
}

async function publishSample(jobId: string, batch: number): Promise<void> {
  const now = new Date().toISOString()
  const sample: MetricSample = {
    wiki_id: wikiId,
    job_id: jobId,
    stage: 'embed',
    batch: String(batch),
    service: 'tagger',
    started_at: now,
    ended_at: now,
    duration_seconds: 0,
    counters: { pages_embedded: 10 },
    gauges: {},
  }
  await bus.publish(toMessage(events.metricsSampled, sample, { source: 'test' }))
}

const read = (path: string, signal: AbortSignal) =>
  fetch(`${system.client.base}${path}`, { headers: { 'x-api-key': system.client.key }, signal })

/** Publishes samples one after another, each when the one before is seen. @returns ms until each was seen */
async function timesUntilSeen(jobId: string, seen: (samples: number) => Promise<RunRecord>): Promise<number[]> {
  const times: number[] = []
  for (let sent = 1; sent <= samplesSent; sent++) {
    const began = performance.now()
    await publishSample(jobId, sent)
    const record = await seen(sent)
    times.push(performance.now() - began)
    expect(record.performance.pages_embedded).toBe(10 * sent)
  }
  return times
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1]!

test('the stream of a job sends its record within a second of the sample', async () => {
  const jobId = await runningJob()
  const stop = new AbortController()
  const answer = await read(`/api/jobs/${jobId}/events`, stop.signal)
  const stream: AsyncGenerator<ServerSentEvent> = serverSentEvents(answer.body!)
  expect((await stream.next()).value.event).toBe('snapshot')
  const times = await timesUntilSeen(jobId, async (samples) => {
    for (;;) {
      const { value, done } = await stream.next()
      if (done) throw new Error('the stream ended before the record came')
      const record = JSON.parse(value.data) as RunRecord
      if (value.event === 'metrics' && record.samples.received === samples) return record
    }
  })
  stop.abort()
  expect(median(times), times.join(' ms, ')).toBeLessThan(withinMs)
})

test('GET /api/jobs/{id}/metrics gives the record within a second of the sample', async () => {
  const jobId = await runningJob()
  const signal = AbortSignal.timeout(25_000)
  const times = await timesUntilSeen(jobId, (samples) =>
    vi.waitUntil(
      async () => {
        const answer = await read(`/api/jobs/${jobId}/metrics`, signal)
        if (answer.status === 404) return undefined
        const { record, live } = (await answer.json()) as { record: RunRecord; live: boolean }
        return live && record.samples.received === samples ? record : undefined
      },
      { timeout: 10_000, interval: 10 },
    ),
  )
  expect(median(times), times.join(' ms, ')).toBeLessThan(withinMs)
})
