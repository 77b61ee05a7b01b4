import { events, toMessage } from '@tagloom/contracts'
import { completeJob, type Database, failJob, finishBatch, planStage, storePages } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestGateway, type TestGateway } from '../testing.ts'

let db: Database
let gateway: TestGateway
let key: string
let wiki: number
beforeAll(async () => {
  gateway = await openTestGateway()
  db = gateway.deps.db
  key = await gateway.key(['write'])
})
afterAll(() => gateway.close())
beforeEach(async () => {
  wiki = await createTestWiki(db)
  await storePages(db, wiki, [{ externalId: 'a', title: 't', text: 'x', goldLabel: null, tags: undefined }])
  gateway.owed.length = 0
})

const ask = (body?: unknown, headers?: Record<string, string>) =>
  gateway.call(key, 'POST', `/api/wikis/${wiki}/jobs`, body, headers)
const job = async (id: string) => (await gateway.call(key, 'GET', `/api/jobs/${id}`)).body
const post = (id: string, what: string, body?: unknown) => gateway.call(key, 'POST', `/api/jobs/${id}/${what}`, body)
const owed = () => gateway.owed.map((message) => message.messageId)
const failed = (id: string) => db.transaction((tx) => failJob(tx, id, 'message_dead', 'it broke'))

describe('a job', () => {
  it('is accepted with its options and begins', async () => {
    const { status, body, headers } = await ask({ min_cluster_size: 5, confidence_threshold: 0.5 })
    expect([status, headers.location]).toEqual([202, `/api/jobs/${body.id}`])
    expect(body).toMatchObject({
      wiki_id: wiki,
      status: 'running',
      attempt: 1,
      requested_by: 'key write',
      failure: null,
      options: { min_cluster_size: 5, confidence_threshold: 0.5, tags_per_cluster: 5, labeller: 'keyphrases' },
    })
    expect(body.stages.map((stage: { stage: string; status: string }) => `${stage.stage} ${stage.status}`)).toEqual([
      'embed pending',
      'cluster pending',
      'label pending',
      'propagate pending',
    ])
    expect(gateway.owed).toHaveLength(1)
    expect(JSON.parse(gateway.owed[0]!.body)).toMatchObject({
      type: events.jobRequested.type,
      requestid: headers['x-request-id'],
      data: { wiki_id: wiki, job_id: body.id, options: { min_cluster_size: 5 } },
    })
    expect(gateway.deps.log.of('job_requested').at(-1)).toMatchObject({ job_id: body.id, pages: 1 })
  })

  it('needs no options', async () => {
    expect((await ask()).status).toBe(202)
    expect((await ask({})).status).toBe(202)
  })

  it.each([[{ min_cluster_size: 1 }], [{ labeller: 'oracle' }], [{ unknown: 1 }], [[]], [{ seed: '42' }]])(
    'with the options %j is refused',
    async (options) => {
      expect(await ask(options)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    },
  )

  it('on a wiki without pages is refused', async () => {
    wiki = await createTestWiki(db)
    expect(await ask()).toMatchObject({ status: 409, body: { code: 'wiki_empty' } })
  })

  it('asked for again with the same idempotency key is the same job', async () => {
    const again = { 'idempotency-key': 'k1' }
    const first = await ask({ seed: 1, dry_run: true }, again)
    const both = await Promise.all([ask({ dry_run: true, seed: 1 }, again), ask({ seed: 1, dry_run: true }, again)])
    for (const second of both) expect([second.status, second.body.id]).toEqual([202, first.body.id])
    expect(await ask({ seed: 2 }, again)).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } })
    expect(owed()).toEqual([`${first.body.id}.requested`])
  })

  it('asked for many times at once with one key is one job', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => ask({}, { 'idempotency-key': 'k2' })))
    expect(new Set(all.map((answer) => answer.body.id)).size).toBe(1)
  })

  it('waits until the one before it has ended, however that ended', async () => {
    const [first, second, third] = [(await ask()).body, (await ask()).body, (await ask()).body]
    expect([first.status, second.status, third.status]).toEqual(['running', 'queued', 'queued'])
    await gateway.deps.relay.commit(async (tx, owe) => {
      await completeJob(tx, first.id, {})
      const data = { wiki_id: wiki, job_id: first.id, pages_processed: 0, pages_tagged: 0, tags_applied: 0, samples: 0 }
      owe(toMessage(events.jobCompleted, data, { source: 'test' }))
    })
    await expect.poll(async () => (await job(second.id)).status).toBe('running')
    await post(second.id, 'cancel')
    expect((await job(third.id)).status).toBe('running')
  })
})

describe('cancelling', () => {
  it('ends a running job, tells the workers and keeps the reason', async () => {
    const { id } = (await ask()).body
    const { status, body } = await post(id, 'cancel', { reason: 'wrong wiki' })
    expect([status, body.status, body.failure]).toEqual([202, 'cancelled', { code: 'cancelled', reason: 'wrong wiki' }])
    expect(body.ended_at).not.toBeNull()
    expect(owed()).toContainEqual(expect.stringContaining(`${id}.cancelled`))
    expect(await post(id, 'cancel')).toMatchObject({ status: 409, body: { code: 'job_state_conflict' } })
  })

  it('ends a queued job that never ran', async () => {
    await ask()
    const { id } = (await ask()).body
    expect((await post(id, 'cancel')).body).toMatchObject({ status: 'cancelled', started_at: null })
  })
})

describe('retrying', () => {
  it('begins again a job that had not begun', async () => {
    const { id } = (await ask()).body
    await failed(id)
    expect((await job(id)).failure).toEqual({ code: 'message_dead', reason: 'it broke' })
    expect((await post(id, 'retry')).body).toMatchObject({
      status: 'running',
      attempt: 2,
      failure: null,
      ended_at: null,
    })
    expect(owed()).toEqual([`${id}.requested`, `${id}.requested~attempt-2`])
  })

  it('sends only the batches that are not done', async () => {
    const { id } = (await ask()).body
    await db.transaction((tx) => planStage(tx, id, 'embed', [{}, {}, {}]))
    await db.transaction((tx) => finishBatch(tx, id, 'embed', 1, { embedded: 1 }))
    await failed(id)
    gateway.owed.length = 0
    const { body } = await post(id, 'retry')
    expect(owed()).toEqual([`${id}.embed.0~attempt-2`, `${id}.embed.2~attempt-2`])
    expect(body.stages[0]).toMatchObject({ stage: 'embed', status: 'running', done: 1, total: 3 })
  })

  it('of a job that runs or completed is refused', async () => {
    const { id } = (await ask()).body
    expect(await post(id, 'retry')).toMatchObject({ status: 409, body: { code: 'job_state_conflict' } })
    await db.transaction((tx) => completeJob(tx, id, {}))
    expect((await post(id, 'retry')).status).toBe(409)
  })
})

describe('the list of jobs', () => {
  it('is newest first, by cursor, and filtered by wiki and status', async () => {
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.unshift((await ask()).body.id)
    const list = async (query: string) => (await gateway.call(key, 'GET', `/api/jobs?${query}`)).body
    const first = await list(`wiki_id=${wiki}&limit=3`)
    const rest = await list(`wiki_id=${wiki}&limit=3&cursor=${first.next_cursor}`)
    const seen = [...first.items, ...rest.items].map((each: { id: string }) => each.id)
    expect(seen.toSorted()).toEqual(ids.toSorted())
    expect(rest.next_cursor).toBeNull()
    expect((await list(`wiki_id=${wiki}&status=running`)).items).toHaveLength(1)
  })

  it("holds only the caller's wikis", async () => {
    const { id } = (await ask()).body
    const other = await gateway.key(['write'], [await createTestWiki(db)])
    expect((await gateway.call(other, 'GET', '/api/jobs')).body.items).toEqual([])
    for (const [method, url] of [
      ['GET', `/api/jobs/${id}`],
      ['GET', `/api/jobs/${id}/events`],
      ['POST', `/api/jobs/${id}/cancel`],
      ['POST', `/api/jobs/${id}/retry`],
    ] as const)
      expect((await gateway.call(other, method, url)).body.code).toBe('wiki_forbidden')
  })
})

describe('at the same moment', () => {
  it('many jobs of one wiki are accepted, and one of them begins', async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, () => ask()))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 202))
    const { rows } = await db.pool.query(
      "select count(*)::int as n from jobs where wiki_id = $1 and status = 'running'",
      [wiki],
    )
    expect(rows[0].n).toBe(1)
  })

  it('a queued job is cancelled while another cancel makes it the next to begin', async () => {
    for (let round = 0; round < 10; round++) {
      const first = (await ask()).body.id
      const second = (await ask()).body.id
      const answers = await Promise.all([post(first, 'cancel'), post(second, 'cancel')])
      expect(answers.map(({ status }) => status)).toEqual([202, 202])
      expect([(await job(first)).status, (await job(second)).status]).toEqual(['cancelled', 'cancelled'])
    }
  })
})
