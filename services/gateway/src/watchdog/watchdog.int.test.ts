import { events, toMessage } from '@tagloom/contracts'
import {
  cancelJob,
  createAssignment,
  finishBatch,
  type Job,
  planStage,
  readAssignment,
  readJob,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Owed } from '../job-life/owed.ts'
import { openTestGateway, type TestGateway } from '../testing.ts'
import { Watchdog, type WatchdogDeps } from './watchdog.ts'

let gateway: TestGateway
let key: string
let wikiId: number
let jobId: string
let revived: { job: Job; owed: Owed }[]
let givenUp: string[]
let assignments: [id: string, failure: string | undefined][]
beforeAll(async () => {
  gateway = await openTestGateway()
  key = await gateway.key(['write'])
})
afterAll(() => gateway.close())
beforeEach(async () => {
  const { db } = gateway.deps
  await db.pool.query("update jobs set status = 'cancelled' where status in ('queued', 'running')")
  await db.pool.query('delete from assignments')
  wikiId = await createTestWiki(db)
  await storePages(db, wikiId, [{ externalId: 'a', title: 't', text: 'x', goldLabel: null, tags: undefined }])
  jobId = (await gateway.call(key, 'POST', `/api/wikis/${wikiId}/jobs`)).body.id
  gateway.owed.length = 0
  revived = []
  givenUp = []
  assignments = []
})

const idle = { durable: 'tagger-embed-batch', pending: 0, inFlight: 0 }
const watchdog = (more: Partial<WatchdogDeps> = {}) =>
  new Watchdog({
    db: gateway.deps.db,
    relay: gateway.deps.relay,
    backlog: async () => [idle],
    stallMs: 600_000,
    maxRevivals: 3,
    onRevived: (each) => void revived.push(each),
    onGivenUp: ({ reason }) => void givenUp.push(reason),
    onAssignment: ({ id }, failure) => void assignments.push([id, failure]),
    ...more,
  })
const owed = () => gateway.owed.map((message) => message.messageId)
const looks = async (dog: Watchdog, times: number) => {
  for (let i = 0; i < times; i++) await dog.look()
}

it('sends again what a job waits for, once nothing was going on twice in a row', async () => {
  const dog = watchdog()
  await dog.look()
  expect(owed()).toEqual([])
  await dog.look()
  expect(owed()).toEqual([`${jobId}.requested~revival.1.start.1`])
  expect(revived).toMatchObject([{ job: { id: jobId }, owed: { step: 'job.requested' } }])
})

it('sends the open batches of the stage that the job is in', async () => {
  const { db } = gateway.deps
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{}, {}, {}]))
  await db.transaction((tx) => finishBatch(tx, jobId, 'embed', 0, { embedded: 1 }))
  await looks(watchdog(), 2)
  expect(owed()).toEqual([`${jobId}.embed.1~revival.1.embed-1.1`, `${jobId}.embed.2~revival.1.embed-1.1`])
})

it('sends the event between two stages, as its rows say it was', async () => {
  const { db } = gateway.deps
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{}]))
  await db.transaction((tx) => finishBatch(tx, jobId, 'embed', 0, { embedded: 1 }))
  await db.pool.query(`update jobs set model = 'm' where id = $1`, [jobId])
  await db.pool.query(
    `insert into job_pages (job_id, page_id, content_hash) select $1, id, 'h' from pages where wiki_id = $2`,
    [jobId, wikiId],
  )
  await looks(watchdog(), 2)
  expect(gateway.owed.map((message) => JSON.parse(message.body))).toMatchObject([
    { type: events.pagesEmbedded.type, id: `${jobId}.pages-embedded`, data: { pages: 1, embedded: 1, model: 'm' } },
  ])
})

async function awaitedAssignment(): Promise<string> {
  const { db } = gateway.deps
  await db.transaction((tx) => cancelJob(tx, jobId))
  return db.transaction((tx) => createAssignment(tx, { wikiId, jobId, most: 9 }))
}

it('sends again the message of an assignment, once nothing was going on twice in a row, and fails it in the end', async () => {
  const id = await awaitedAssignment()
  const dog = watchdog()
  await dog.look()
  expect(owed()).toEqual([])
  await looks(dog, 7)
  expect(owed()).toEqual([1, 2, 3].map((nth) => `${id}.requested~revival.${nth}`))
  const failure = expect.stringContaining('nobody took it on after 3 more tries')
  expect(assignments).toEqual([
    [id, undefined],
    [id, undefined],
    [id, undefined],
    [id, failure],
  ])
  expect(await readAssignment(gateway.deps.db, id)).toMatchObject({ status: 'failed', failure })
  await looks(dog, 2)
  expect(assignments).toHaveLength(4)
})

it('leaves an assignment alone while a worker has something in hand', async () => {
  await awaitedAssignment()
  const busy = { durable: 'clusterer-assignment-embedded', pending: 0, inFlight: 1 }
  await looks(watchdog({ backlog: async () => [idle, busy] }), 4)
  expect(owed()).toEqual([])
})

it.each([
  ['waits in the stream', { ...idle, pending: 1 }],
  ['is in hand', { ...idle, inFlight: 1 }],
])('leaves a job alone whose message %s', async (_, row) => {
  await looks(watchdog({ backlog: async () => [row] }), 4)
  expect(owed()).toEqual([])
})

it('leaves a job alone whose message lies in the outbox', async () => {
  const row = toMessage(events.jobCancelled, { wiki_id: 1, job_id: 'other', reason: '' }, { source: 'test' })
  const { db } = gateway.deps
  await db.pool.query(
    `insert into outbox (subject, message_id, body, created_at) values ($1, $2, $3, now() + interval '1 hour')`,
    [row.subject, row.messageId, row.body],
  )
  await looks(watchdog(), 4)
  expect(owed()).toEqual([])
  await db.pool.query('delete from outbox')
})

it('does not count a metrics-aggregator that is behind', async () => {
  const behind = { durable: 'metrics-aggregator-metrics-sampled', pending: 900, inFlight: 5 }
  await looks(watchdog({ backlog: async () => [idle, behind] }), 2)
  expect(owed()).toHaveLength(1)
})

it('leaves a job alone that moved between two looks', async () => {
  const { db } = gateway.deps
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{}, {}, {}]))
  const dog = watchdog()
  for (let no = 0; no < 2; no++) {
    await dog.look()
    await db.transaction((tx) => finishBatch(tx, jobId, 'embed', no, {}))
  }
  await dog.look()
  expect(owed()).toEqual([])
})

it('revives a job that has not moved for long, even while others keep the workers busy', async () => {
  await gateway.deps.db.pool.query("update jobs set started_at = now() - interval '11 minutes' where id = $1", [jobId])
  const dog = watchdog({ backlog: async () => [{ ...idle, inFlight: 3 }] })
  await looks(dog, 3)
  expect(owed()).toHaveLength(1)
})

const idleFor = async (minutes: number) => {
  const { db } = gateway.deps
  const ago = `${minutes} minutes`
  await db.pool.query('update jobs set started_at = now() - $2::interval where id = $1', [jobId, ago])
  await db.pool.query(
    "update inbox set handled_at = handled_at - interval '11 minutes' where starts_with(message_id, $1)",
    [jobId],
  )
}

it('revives a job that has not moved for long once, however many gateways look', async () => {
  await idleFor(11)
  for (let i = 0; i < 3; i++) await watchdog({ backlog: async () => [{ ...idle, inFlight: 3 }] }).look()
  expect(owed()).toHaveLength(1)
})

it('does not give up a job that waits in line behind others', async () => {
  const { db } = gateway.deps
  const other = await createTestWiki(db)
  await storePages(db, other, [{ externalId: 'a', title: 't', text: 'x', goldLabel: null, tags: undefined }])
  const moving = (await gateway.call(key, 'POST', `/api/wikis/${other}/jobs`)).body.id
  await db.transaction((tx) => planStage(tx, moving, 'embed', [{}, {}]))
  await db.transaction((tx) => finishBatch(tx, moving, 'embed', 0, { embedded: 1 }))
  gateway.owed.length = 0
  const dog = watchdog({ backlog: async () => [{ durable: 'p-tagger-job-requested', pending: 40, inFlight: 2 }] })
  for (let i = 1; i <= 8; i++) {
    await idleFor(11 * i)
    await dog.look()
  }
  expect(givenUp).toEqual([])
  expect((await readJob(db, jobId))?.status).toBe('running')
  // Not more and more of them: the time between two doubles.
  expect(owed()).toEqual([1, 2, 3].map((n) => `${jobId}.requested~revival.1.start.line.${n}`))
})

it('gives up a job whose messages wait when nobody does any of that work', async () => {
  await gateway.deps.db.pool.query("update job_stages set progressed_at = now() - interval '1 day'")
  const dog = watchdog({ backlog: async () => [{ durable: 'tagger-job-requested', pending: 40, inFlight: 0 }] })
  for (let i = 1; i <= 4; i++) {
    await idleFor(11 * i)
    await dog.look()
  }
  expect(givenUp).toHaveLength(1)
})

it('counts the time of a retried job from its retry', async () => {
  const { db } = gateway.deps
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{}, {}]))
  await gateway.call(key, 'POST', `/api/jobs/${jobId}/cancel`)
  await idleFor(60)
  await db.pool.query("update job_stages set progressed_at = now() - interval '1 hour' where job_id = $1", [jobId])
  await gateway.call(key, 'POST', `/api/jobs/${jobId}/retry`)
  gateway.owed.length = 0
  await watchdog({ backlog: async () => [{ ...idle, pending: 2 }] }).look()
  expect(owed()).toEqual([])
})

it('fails a job that nobody takes on, with a reason, and lets the next begin', async () => {
  const next = (await gateway.call(key, 'POST', `/api/wikis/${wikiId}/jobs`)).body.id
  const dog = watchdog()
  await looks(dog, 2 * 4)
  expect(revived).toHaveLength(3)
  expect(await readJob(gateway.deps.db, jobId)).toMatchObject({
    status: 'failed',
    errorCode: 'stalled',
    errorReason: expect.stringMatching(/nobody took on job.requested after 3 more tries: check that the tagger runs/),
  })
  expect(givenUp).toHaveLength(1)
  expect((await readJob(gateway.deps.db, next))?.status).toBe('running')
  expect(owed().slice(-2)).toEqual([`${jobId}.failed.1`, `${next}.requested`])
})

it('counts tries over restarts, and anew where the job moved', async () => {
  const { db } = gateway.deps
  for (let i = 0; i < 3; i++) await looks(watchdog(), 2)
  expect(revived).toHaveLength(3)
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{}]))
  await looks(watchdog(), 2)
  expect(revived).toHaveLength(4)
  expect(givenUp).toEqual([])
})

it('of several gateways acts once', async () => {
  const dogs = Array.from({ length: 4 }, () => watchdog())
  await Promise.all(dogs.map((dog) => dog.look()))
  await Promise.all(dogs.map((dog) => dog.look()))
  await looks(dogs[0]!, 2)
  expect(new Set(owed()).size).toBe(owed().length)
})

it('begins a queued job whose turn was missed', async () => {
  await gateway.deps.db.pool.query("update jobs set status = 'queued' where id = $1", [jobId])
  await watchdog().look()
  expect((await readJob(gateway.deps.db, jobId))?.status).toBe('running')
  expect(owed()).toEqual([`${jobId}.requested`])
})

it('does nothing while the bus is away', async () => {
  const away = watchdog({
    backlog: async () => {
      throw new Error('no answer')
    },
  })
  await expect(away.look()).rejects.toThrow('no answer')
  expect(owed()).toEqual([])
})
