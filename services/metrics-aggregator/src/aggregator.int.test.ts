import { openTestBus } from '@tagloom/bus/testing'
import { events, type MetricSample, toMessage } from '@tagloom/contracts'
import {
  addRunEvaluation,
  cancelJob,
  createJob,
  type Database,
  listAlerts,
  readJob,
  readRecord,
  readRunEvaluation,
  readSamples,
  startNextJob,
} from '@tagloom/database'
import { createTestWiki, openTestDatabase, saveSamples } from '@tagloom/database/testing'
import { openLiveRecords } from '@tagloom/service-kit/live-records'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AggregatorProcesses, type TestBus, until } from './aggregator-process.ts'
import { completedJob, samplesOf } from './testing.ts'

let db: Database & { url: string }
let bus: TestBus
let aggregators: AggregatorProcesses

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  aggregators = new AggregatorProcesses(db, bus)
})
afterEach(() => aggregators.killAll())
afterAll(async () => {
  await bus.close()
  await db.close()
})

describe('the aggregator', () => {
  it('keeps the live record within a second of the work, and stores it when the job is done', async () => {
    const wikiId = await createTestWiki(db)
    const child = await aggregators.start()
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const jobId = await completedJob(db, wikiId)
    const [embed, ...others] = samplesOf(wikiId, jobId)
    await aggregators.publishSample(embed as MetricSample)
    const sentAt = Date.now()
    await until(async () => (await live.get(wikiId, jobId))?.performance.pages_embedded === 100)
    expect(Date.now() - sentAt).toBeLessThan(1_000)
    for (const sample of [...others].reverse()) await aggregators.publishSample(sample)
    await aggregators.complete(wikiId, jobId)
    await until(async () => (await readRecord(db, jobId)) !== undefined)
    expect((await readRecord(db, jobId))?.samples).toEqual({ received: 5, expected: 5 })
    await until(async () => (await live.get(wikiId, jobId))?.samples.expected === 5)
    await aggregators.kill(child, 'SIGTERM')
    expect(child.exitCode).toBe(0)
  })

  it('shows in the live record that a job was cancelled, and how long it had run', async () => {
    const wikiId = await createTestWiki(db)
    await aggregators.start()
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const jobId = await db.transaction(async (tx) => {
      await createJob(tx, { wikiId, options: {} })
      return (await startNextJob(tx, wikiId))!.id
    })
    await aggregators.publishSample(samplesOf(wikiId, jobId)[0] as MetricSample)
    await until(async () => (await live.get(wikiId, jobId))?.status === 'running')
    await db.transaction((tx) => cancelJob(tx, jobId))
    await bus.publish(
      toMessage(events.jobCancelled, { wiki_id: wikiId, job_id: jobId, reason: 'r' }, { source: 'gateway' }),
    )
    await until(async () => (await live.get(wikiId, jobId))?.status === 'cancelled')
    const { startedAt, endedAt } = (await readJob(db, jobId))!
    expect(await live.get(wikiId, jobId)).toMatchObject({
      completed_at: null,
      performance: {
        pages_embedded: 100,
        total_pipeline_duration_seconds: (endedAt!.getTime() - startedAt!.getTime()) / 1000,
      },
    })
  })

  it('records a job when the last sample of it comes, not at the next look of each second, also after its end', async () => {
    const wikiId = await createTestWiki(db)
    await aggregators.start()
    const took: number[] = []
    for (let i = 0; i < 5; i++) {
      const jobId = await completedJob(db, wikiId)
      const [last, ...others] = samplesOf(wikiId, jobId)
      for (const sample of others) await aggregators.publishSample(sample)
      await aggregators.complete(wikiId, jobId)
      await until(async () => (await readRunEvaluation(db, jobId)) !== undefined)
      await until(async () => (await readSamples(db, jobId)).length === others.length)
      await aggregators.publishSample(last as MetricSample)
      took.push(await until(async () => (await readRecord(db, jobId)) !== undefined))
    }
    expect(took.toSorted((a, b) => a - b)[2]).toBeLessThan(500)
  })

  it('neither takes nor stores anything with ENABLE_METRICS=false', async () => {
    const wikiId = await createTestWiki(db)
    const child = await aggregators.start({ ENABLE_METRICS: 'false' })
    const { jobId } = await aggregators.run(wikiId, { silhouette: 0.1 })
    await aggregators.kill(child, 'SIGTERM')
    const { rows } = await db.pool.query('select 1 from metric_samples where job_id = $1', [jobId])
    expect(rows).toEqual([])
    expect(await readRecord(db, jobId)).toBeUndefined()
  })

  it('keeps records live only with STORE_METRICS_IN_DB=false, and raises alerts all the same', async () => {
    const wikiId = await createTestWiki(db)
    await aggregators.start({ STORE_METRICS_IN_DB: 'false' })
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const { jobId } = await aggregators.run(wikiId, { silhouette: 0.1 })
    await until(async () => (await listAlerts(db, { wikiId, limit: 9 })).length === 1)
    await until(async () => (await live.get(wikiId, jobId))?.samples.received === 5)
    const { rows } = await db.pool.query('select 1 from metric_samples where job_id = $1', [jobId])
    expect(rows).toEqual([])
    expect(await readRecord(db, jobId)).toBeUndefined()
  })

  it('puts a sample whose count has a fraction with the dead, says why, and stores the others', async () => {
    const wikiId = await createTestWiki(db)
    await aggregators.start()
    const jobId = await completedJob(db, wikiId)
    const good = samplesOf(wikiId, jobId).at(-1) as MetricSample
    await aggregators.publishSample({ ...good, batch: 'bad', counters: { ...good.counters, tags_applied: 1.5 } })
    await aggregators.publishSample({ ...good, counters: { ...good.counters, llm_cost_usd: 0.031 } })
    await until(async () => (await bus.deadLetters()).some((letter) => letter.body.includes(jobId)))
    const letter = (await bus.deadLetters()).find(({ body }) => body.includes(jobId))
    expect(letter?.reason).toMatch(/\/counters\/tags_applied must be integer/)
    await until(async () => (await readSamples(db, jobId)).length > 0)
    expect((await readSamples(db, jobId)).map(({ batch, counters }) => [batch, counters.llm_cost_usd])).toEqual([
      [good.batch, 0.031],
    ])
  })

  it('says once that a record is given up, counts it, and goes on with other wikis', async () => {
    const wikiId = await createTestWiki(db)
    const child = await aggregators.start()
    const jobId = await completedJob(db, wikiId)
    const sample = samplesOf(wikiId, jobId).at(-1) as MetricSample
    await saveSamples(db, [{ ...sample, counters: { pages_processed: 1, tags_applied: 1.5 } }])
    await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(0), expectedSamples: 1 })
    const other = await createTestWiki(db)
    const { jobId: fine } = await aggregators.run(other)
    await until(async () => (await readRecord(db, fine)) !== undefined)
    const told = () => child.lines.filter((line) => line.event === 'record_failed')
    await until(async () => {
      await db.pool.query('update run_evaluations set retry_at = now() where retry_at is not null')
      return told().length > 0
    })
    expect(told()).toEqual([expect.objectContaining({ level: 'ERROR', wiki_id: wikiId, job_id: jobId, tries: 3 })])
    const metrics = await (await fetch(`${child.address}/metrics`)).text()
    const counted = /^tagloom_record_failures_total\{.*outcome="(\w+)".*\} (\d+)$/gm
    expect([...metrics.matchAll(counted)].map(([, outcome, count]) => `${outcome} ${count}`).sort()).toEqual([
      'given_up 1',
      'retried 2',
    ])
  })

  it('says in the log what fired and what to do, with the ids of the job', async () => {
    const wikiId = await createTestWiki(db)
    const child = await aggregators.start()
    const { jobId } = await aggregators.run(wikiId, { silhouette: 0.1 })
    await until(async () => child.lines.some((line) => line.event === 'quality_alert' && line.wiki_id === wikiId))
    const line = child.lines.find((candidate) => candidate.event === 'quality_alert' && candidate.wiki_id === wikiId)
    expect(line).toMatchObject({ level: 'WARNING', job_id: jobId, rule: 'silhouette-low', value: 0.1, threshold: 0.2 })
  })
})
