import { Reject } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  cancelJob,
  countOutbox,
  createAssignment,
  createJob,
  readAssignment,
  readJob,
  startNextJob,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { type Consumer, consumeEvents, handleOnce, on } from './index.ts'
import { openTestDeps, type TestDeps } from './testing.ts'

let deps: TestDeps
const apps: FastifyInstance[] = []
beforeAll(async () => {
  deps = await openTestDeps('clusterer')
})
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()))
})
afterAll(() => deps.close())

async function serve(...consumers: Consumer[]): Promise<void> {
  const app = Fastify()
  apps.push(app)
  consumeEvents(app, deps, consumers, 500)
  await app.ready()
}

async function runningJob(): Promise<{ wiki_id: number; job_id: string }> {
  const wikiId = await createTestWiki(deps.db)
  const job = await deps.db.transaction(async (tx) => {
    const created = await createJob(tx, { wikiId, options: {} })
    await startNextJob(tx, wikiId)
    return created
  })
  return { wiki_id: wikiId, job_id: job?.id as string }
}

const context = { source: 'test', requestId: 'request-1', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
const embedded = (job: { wiki_id: number; job_id: string }, resend?: string) =>
  toMessage(events.pagesEmbedded, { ...job, pages: 1, embedded: 1, model: 'm' }, context, resend)
const formed = (job: { wiki_id: number; job_id: string }) => ({ ...job, clusters: 1, layers: 1, outliers: 0 })
const quiet = (durable: string) =>
  until(async () => {
    const row = (await deps.bus.backlog()).find((one) => one.durable.endsWith(durable))
    return row?.pending === 0 && row.inFlight === 0
  })
const until = (check: () => unknown) => vi.waitFor(async () => expect(await check()).toBeTruthy(), 15_000)

it('a handled message is followed by what it emits, in its trace and for its request', async () => {
  const job = await runningJob()
  const received: unknown[] = []
  await serve(
    on(events.pagesEmbedded, { failsJob: true }, (message, own) =>
      handleOnce(own, message, async () => async (_tx, owe) => {
        owe(toMessage(events.clustersFormed, formed(job), own.context))
      }),
    ),
    on(events.clustersFormed, { failsJob: true }, async ({ envelope, requestId }, { log }) => {
      log.event('stage_started', { stage: 'label', batches: 1 })
      received.push([envelope.source, requestId, envelope.traceparent?.slice(3, 35)])
    }),
  )
  await deps.bus.publish(embedded(job))
  await until(() => received.length)
  expect(received).toEqual([['/tagloom/clusterer', 'request-1', 'a'.repeat(32)]])
  expect(deps.log.of('stage_started')[0]).toMatchObject({ ...job, request_id: 'request-1', trace_id: 'a'.repeat(32) })
  await until(async () => (await countOutbox(deps.db)) === 0)
})

it('a second delivery changes nothing', async () => {
  const job = await runningJob()
  const saved: string[] = []
  let deliveries = 0
  await serve(
    on(events.pagesEmbedded, { failsJob: true }, async (message, own) => {
      deliveries++
      await handleOnce(own, message, async () => async () => void saved.push(message.id))
    }),
  )
  await deps.bus.publish(embedded(job))
  await deps.bus.publish(embedded(job, 'again'))
  await until(() => deliveries === 2)
  await quiet('clusterer-pages-embedded')
  expect(saved).toEqual([`${job.job_id}.pages-embedded`])
})

it('the sweep publishes what a process left owing', async () => {
  const job = await runningJob()
  const received: string[] = []
  await serve(on(events.clustersFormed, { durable: 'swept', failsJob: true }, async ({ id }) => void received.push(id)))
  const publish = vi.spyOn(deps.bus, 'publish').mockRejectedValueOnce(new Error('the bus is away'))
  const result = await deps.relay.commit(async (_tx, owe) => {
    owe(toMessage(events.clustersFormed, formed(job), context))
    return 'committed'
  })
  publish.mockRestore()
  expect(result).toBe('committed')
  expect(deps.log.of('outbox_failed').at(-1)).toMatchObject({ messages: 1, reason: 'the bus is away' })
  await until(() => received.includes(`${job.job_id}.clusters-formed`))
  await until(async () => (await countOutbox(deps.db)) === 0)
})

it('a message that cannot be handled lies with the dead, and its job fails with a reason', async () => {
  const job = await runningJob()
  await serve(
    on(events.pagesEmbedded, { durable: 'poisoned', failsJob: true }, async ({ data }) => {
      if (data.job_id === job.job_id) throw new Reject('the vectors have 383 values, expected 384')
    }),
  )
  const failures: unknown[] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const { envelope } of deps.bus.follow({ subjects: [events.jobFailed.filter], signal: stop.signal }))
      failures.push(envelope.data)
  })()
  await deps.bus.publish(embedded(job))
  await until(async () => (await readJob(deps.db, job.job_id))?.status === 'failed')
  expect(await readJob(deps.db, job.job_id)).toMatchObject({
    errorCode: 'message_dead',
    errorReason: 'the vectors have 383 values, expected 384',
  })
  await until(async () => (await deps.bus.deadLetters()).some((letter) => letter.body.includes(job.job_id)))
  await until(() => failures.length)
  expect(failures[0]).toMatchObject({ ...job, stage: 'cluster', code: 'message_dead', attempt: 1 })
  expect(deps.log.of('job_failed').at(-1)).toMatchObject({ ...job, stage: 'cluster' })
  stop.abort()
  await following
})

it('an assignment whose message cannot be handled fails at once, with the reason', async () => {
  const { wiki_id, job_id } = await runningJob()
  await storePages(deps.db, wiki_id, [{ externalId: 'p', title: 'p', text: 'p', goldLabel: null, tags: undefined }])
  const assignment_id = await deps.db.transaction((tx) =>
    createAssignment(tx, { wikiId: wiki_id, jobId: job_id, most: 9 }),
  )
  await serve(
    on(events.assignmentEmbedded, { durable: 'poisoned-assignment', failsJob: false }, async () => {
      throw new Reject('cluster 3 has no centroid')
    }),
  )
  await deps.bus.publish(toMessage(events.assignmentEmbedded, { wiki_id, assignment_id }, context))
  await until(async () => (await readAssignment(deps.db, assignment_id))?.status === 'failed')
  expect(await readAssignment(deps.db, assignment_id)).toMatchObject({ failure: 'cluster 3 has no centroid' })
  await until(() => deps.log.of('assignment_failed').length)
  expect(deps.log.of('assignment_failed')).toMatchObject([{ wiki_id, assignment_id, request_id: 'request-1' }])
  expect((await readJob(deps.db, job_id))?.status).toBe('running')
})

it('cancelling a job aborts the work on it, which is dropped', async () => {
  const job = await runningJob()
  let begun = false
  await serve(
    on(events.pagesEmbedded, { durable: 'cancelled', failsJob: true }, async ({ data, signal }) => {
      if (data.job_id !== job.job_id) return
      begun = true
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }),
  )
  await deps.bus.publish(embedded(job))
  await until(() => begun)
  await deps.db.transaction((tx) => cancelJob(tx, job.job_id))
  await deps.bus.publish(toMessage(events.jobCancelled, { ...job, reason: 'changed my mind' }, context))
  await quiet('cancelled')
  expect((await deps.bus.deadLetters()).filter((letter) => letter.durable === 'cancelled')).toEqual([])
})

it('a cancel that is told late, when the job runs again, loses no work', async () => {
  const job = await runningJob()
  const deliveries: number[] = []
  await serve(
    on(events.pagesEmbedded, { durable: 'told-late', failsJob: true }, async ({ data, signal, deliveryCount }) => {
      if (data.job_id !== job.job_id) return
      deliveries.push(deliveryCount)
      if (deliveryCount > 1) return
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }),
  )
  await deps.bus.publish(embedded(job, 'attempt-2'))
  await until(() => deliveries.length === 1)
  await deps.bus.publish(toMessage(events.jobCancelled, { ...job, reason: 'of the first attempt' }, context))
  await quiet('told-late')
  expect(deliveries).toEqual([1, 2])
})

it('work that finds the database away is held and done when it is back, in the same delivery', async () => {
  const job = await runningJob()
  const deliveries: number[] = []
  let away = true
  const ping = vi.spyOn(deps.db, 'ping').mockRejectedValueOnce(new Error('still away'))
  await serve(
    on(events.pagesEmbedded, { durable: 'held', failsJob: true }, async ({ data, deliveryCount }) => {
      if (data.job_id !== job.job_id) return
      deliveries.push(deliveryCount)
      if (away) {
        away = false
        throw Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' })
      }
    }),
  )
  await deps.bus.publish(embedded(job))
  await until(() => deliveries.length === 2)
  await quiet('held')
  expect(deliveries).toEqual([1, 1])
  expect(ping).toHaveBeenCalledTimes(2)
  ping.mockRestore()
})

it('an error that is logged or kept says what the database said, and no parameters', async () => {
  const job = await runningJob()
  await serve(
    on(events.pagesEmbedded, { durable: 'broken-query', failsJob: true, maxDeliver: 1 }, async ({ data }) => {
      if (data.job_id !== job.job_id) return
      const cause = Object.assign(new Error('value too long for type character varying(200)'), { code: '22001' })
      throw new Error('Failed query: insert into "pages" ("text") values ($1)\nparams: the text of a page', { cause })
    }),
  )
  await deps.bus.publish(embedded(job))
  await until(async () => (await readJob(deps.db, job.job_id))?.status === 'failed')
  expect((await readJob(deps.db, job.job_id))?.errorReason).toBe(
    'failed once, last: the database refused a statement: value too long for type character varying(200)',
  )
  expect(JSON.stringify(deps.log.lines)).not.toContain('the text of a page')
})
