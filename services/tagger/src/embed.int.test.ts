import { whenDrained } from '@tagloom/bus/testing'
import { type CloudEvent, events, toMessage } from '@tagloom/contracts'
import {
  completeJob,
  createAssignment,
  createJob,
  freezeJobPages,
  listPagesWithoutEmbedding,
  planStage,
  readAssignment,
  readJob,
  readStages,
  startNextJob,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { Registry } from '@tagloom/service-kit'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'
import { planEmbedBatches } from './job-requested/plan-batches.ts'

let deps: TestDeps<typeof environment>
let apps: FastifyInstance[] = []
const seen: CloudEvent[] = []
const stopFollowing = new AbortController()
beforeAll(async () => {
  deps = await openTestDeps('tagger', environment, { INFERENCE_THREADS: '1' })
  const following = deps.bus.follow({ subjects: ['tagloom.v1.>'], signal: stopFollowing.signal })
  void (async () => {
    for await (const { envelope } of following) seen.push(envelope)
  })()
})
afterEach(async () => {
  await Promise.all(apps.map((app) => app.close()))
  apps = []
})
afterAll(async () => {
  stopFollowing.abort()
  await deps.close()
})

async function startTagger(): Promise<void> {
  const app = await buildApp({ ...deps, registry: new Registry() })
  await app.ready()
  apps.push(app)
}

const page = (k: number, text = `What page ${k} says about subject ${k % 5}. `.repeat(1 + (k % 40))) => ({
  externalId: `p${k}`,
  title: `Page ${k}`,
  text,
  goldLabel: null,
  tags: undefined,
})

async function requestJob(wikiId: number): Promise<string> {
  const job = await deps.db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!
  })
  await deps.bus.publish(requested(wikiId, job.id))
  return job.id
}

const requested = (wiki_id: number, job_id: string, resend?: string) =>
  toMessage(events.jobRequested, { wiki_id, job_id, options: {} }, { source: 'gateway' }, resend)

async function whenEmbedded(jobId: string): Promise<{ pages: number; embedded: number; model: string }> {
  const found = await vi.waitUntil(
    () => seen.find((e) => e.type === events.pagesEmbedded.type && dataOf(e).job_id === jobId),
    { timeout: 25_000 },
  )
  return found.data as { pages: number; embedded: number; model: string }
}

const dataOf = (event: CloudEvent) => event.data as Record<string, unknown>

async function vectorsOf(wikiId: number): Promise<unknown[]> {
  const { rows } = await deps.db.pool.query(
    `select e.page_id, e.model, e.content_hash, e.tokens, encode(e.vector, 'hex') as vector, e.xmin::text as written
     from page_embeddings e join pages p on p.id = e.page_id where p.wiki_id = $1 order by 1, 2`,
    [wikiId],
  )
  return rows
}

async function endJob(jobId: string): Promise<void> {
  await deps.db.transaction((tx) => completeJob(tx, jobId, {}))
}

test('embeds the pages of a job once, in batches, and says so when the last is done', async () => {
  const wikiId = await createTestWiki(deps.db)
  await storePages(deps.db, wikiId, [...Array.from({ length: 300 }, (_, k) => page(k, `Word ${k}`)), page(900, '')])
  await startTagger()
  await startTagger()
  const jobId = await requestJob(wikiId)
  expect(await whenEmbedded(jobId)).toMatchObject({ pages: 301, embedded: 301 })
  await whenDrained(deps.bus)
  const vectors = (await vectorsOf(wikiId)) as { vector: string | null; tokens: number }[]
  expect(vectors).toHaveLength(301)
  expect(vectors.every((v) => v.vector?.length === 384 * 8 && v.tokens > 0)).toBe(true)
  expect(await readStages(deps.db, jobId)).toMatchObject([{ stage: 'embed', done: 2, total: 2 }])
  const samples = seen.filter((e) => e.type === events.metricsSampled.type && dataOf(e).job_id === jobId)
  const counted = samples.map((e) => dataOf(e).counters as Record<string, number>)
  expect(counted.reduce((sum, c) => sum + (c.pages_embedded ?? 0), 0)).toBe(301)
  expect(counted.some((c) => (c.tokens_padded ?? 0) >= (c.tokens_embedded ?? 1))).toBe(true)
  await endJob(jobId)
})

test('a second delivery changes nothing', async () => {
  const wikiId = await createTestWiki(deps.db)
  await storePages(
    deps.db,
    wikiId,
    Array.from({ length: 12 }, (_, k) => page(k)),
  )
  await startTagger()
  const jobId = await requestJob(wikiId)
  await whenEmbedded(jobId)
  await whenDrained(deps.bus)
  const before = { vectors: await vectorsOf(wikiId), stages: await readStages(deps.db, jobId), seen: seen.length }
  await deps.bus.publish(requested(wikiId, jobId, 'again'))
  const batch = { wiki_id: wikiId, job_id: jobId, batch: 0 }
  await deps.bus.publish(toMessage(events.embedBatch, batch, { source: 'gateway' }, 'again'))
  await whenDrained(deps.bus)
  expect({ vectors: await vectorsOf(wikiId), stages: await readStages(deps.db, jobId) }).toEqual({
    vectors: before.vectors,
    stages: before.stages,
  })
  const sent = seen.slice(before.seen).filter((e) => dataOf(e).job_id === jobId)
  expect(sent.map((e) => e.type)).toEqual([events.jobRequested.type])
  await endJob(jobId)
})

test('embeds again only what is new or changed, and a page without text has no vector', async () => {
  const wikiId = await createTestWiki(deps.db)
  await storePages(
    deps.db,
    wikiId,
    Array.from({ length: 10 }, (_, k) => page(k)),
  )
  await startTagger()
  const first = await requestJob(wikiId)
  const { model } = await whenEmbedded(first)
  await endJob(first)
  const second = await requestJob(wikiId)
  expect(await whenEmbedded(second)).toMatchObject({ pages: 10, embedded: 0, model })
  await endJob(second)
  await storePages(deps.db, wikiId, [page(3, 'Another text.'), page(50), { ...page(51, ''), title: '' }])
  const third = await requestJob(wikiId)
  expect(await whenEmbedded(third)).toMatchObject({ pages: 12, embedded: 3 })
  const without = (await vectorsOf(wikiId)).filter((row) => (row as { vector: unknown }).vector === null)
  expect(without).toHaveLength(1)
  expect(await listPagesWithoutEmbedding(deps.db, third, 'another model')).toHaveLength(12)
  await endJob(third)
})

test('a job that was planned with another model is left to a replica that has it', async () => {
  const wikiId = await createTestWiki(deps.db)
  await storePages(deps.db, wikiId, [page(1)])
  const jobId = await deps.db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    const { id } = (await startNextJob(tx, wikiId))!
    await freezeJobPages(tx, id, wikiId, 'another@model')
    const pages = await listPagesWithoutEmbedding(tx, id, 'another@model')
    await planStage(tx, id, 'embed', planEmbedBatches(pages))
    return id
  })
  await startTagger()
  const batch = { wiki_id: wikiId, job_id: jobId, batch: 0 }
  await deps.bus.publish(toMessage(events.embedBatch, batch, { source: 'gateway' }))
  await deps.bus.publish(requested(wikiId, jobId))
  const retried = async () => (await deps.bus.backlog()).find((row) => row.durable.endsWith('tagger-embed-batch'))
  await expect.poll(async () => (await retried())?.inFlight, { timeout: 10_000 }).toBe(1)
  expect(await vectorsOf(wikiId)).toEqual([])
  expect((await readJob(deps.db, jobId))?.model).toBe('another@model')
  await endJob(jobId)
})

test('a wiki without pages is embedded at once', async () => {
  const wikiId = await createTestWiki(deps.db)
  await startTagger()
  const jobId = await requestJob(wikiId)
  expect(await whenEmbedded(jobId)).toMatchObject({ pages: 0, embedded: 0 })
  expect((await readJob(deps.db, jobId))?.status).toBe('running')
  await endJob(jobId)
})

async function whenAssignmentSaid(type: string, assignmentId: string): Promise<void> {
  await expect
    .poll(() => seen.some((e) => e.type === type && dataOf(e).assignment_id === assignmentId), { timeout: 25_000 })
    .toBe(true)
}

async function assign(wikiId: number, jobId: string): Promise<string> {
  const id = await deps.db.transaction((tx) => createAssignment(tx, { wikiId, jobId, most: 2_000 }))
  const data = { wiki_id: wikiId, assignment_id: id }
  await deps.bus.publish(toMessage(events.assignmentRequested, data, { source: 'gateway' }))
  return id
}

test('embeds the new pages of an assignment without a job, and nothing that has its vector', async () => {
  const wikiId = await createTestWiki(deps.db)
  const firstPages = Array.from({ length: 3 }, (_, k) => page(k))
  await storePages(deps.db, wikiId, firstPages)
  await startTagger()
  const jobId = await requestJob(wikiId)
  await whenEmbedded(jobId)
  await endJob(jobId)
  const before = await vectorsOf(wikiId)
  await storePages(deps.db, wikiId, [page(3), page(4, ''), { ...page(5, ''), title: '' }])
  const id = await assign(wikiId, jobId)
  await whenAssignmentSaid(events.assignmentEmbedded.type, id)
  const after = (await vectorsOf(wikiId)) as { vector: string | null }[]
  expect(after.slice(0, 3)).toEqual(before)
  expect(after.slice(3).map((row) => row.vector !== null)).toEqual([true, true, false])
  await deps.bus.publish(
    toMessage(events.assignmentRequested, { wiki_id: wikiId, assignment_id: id }, { source: 'gateway' }, 'again'),
  )
  await whenDrained(deps.bus)
  expect(await vectorsOf(wikiId)).toEqual(after)
})

test('an assignment to a run of another model fails with what to do', async () => {
  const wikiId = await createTestWiki(deps.db)
  await storePages(deps.db, wikiId, [page(0)])
  await startTagger()
  const jobId = await requestJob(wikiId)
  await whenEmbedded(jobId)
  await endJob(jobId)
  await deps.db.pool.query(`update jobs set model = 'another' where id = $1`, [jobId])
  await storePages(deps.db, wikiId, [page(1)])
  const id = await assign(wikiId, jobId)
  await expect.poll(async () => (await readAssignment(deps.db, id))?.status, { timeout: 25_000 }).toBe('failed')
  expect((await readAssignment(deps.db, id))?.failure).toMatch(
    /was made with the model another, this tagger has .*: start a job/,
  )
})
