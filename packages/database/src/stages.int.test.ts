import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cancelJob,
  completeJob,
  createJob,
  type Database,
  failJob,
  finishBatch,
  JobNotRunning,
  planStage,
  readJob,
  readOpenBatches,
  readStages,
  readWiki,
  requeueJob,
  startNextJob,
  sumBatchResults,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

async function runningJob(): Promise<{ jobId: string; wikiId: number }> {
  const wikiId = await createTestWiki(db)
  const job = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return startNextJob(tx, wikiId)
  })
  return { jobId: job?.id as string, wikiId }
}

test('a stage counts each batch once, whoever finishes it and however often', async () => {
  const { jobId } = await runningJob()
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [{ pages: [1] }, { pages: [2] }]))
  const finish = (no: number) => db.transaction((tx) => finishBatch(tx, jobId, 'embed', no, { pages: 1 }))
  expect(await finish(0)).toEqual({ done: 1, total: 2 })
  expect(await finish(0)).toBeUndefined()
  expect(await readOpenBatches(db, jobId, 'embed')).toEqual([1])
  expect(await finish(1)).toEqual({ done: 2, total: 2 })
  expect(await sumBatchResults(db, jobId, 'embed')).toEqual({ pages: 2 })
  expect((await readStages(db, jobId))[0]?.endedAt).toBeInstanceOf(Date)
})

test('batches that end at the same moment are all counted, and one of them is the last', async () => {
  const { jobId } = await runningJob()
  const count = 24
  await db.transaction((tx) =>
    planStage(
      tx,
      jobId,
      'embed',
      Array.from({ length: count }, (_, i) => i),
    ),
  )
  const ends = await Promise.all(
    Array.from({ length: count }, (_, no) => db.transaction((tx) => finishBatch(tx, jobId, 'embed', no, {}))),
  )
  expect(ends.filter((end) => end?.done === count)).toHaveLength(1)
})

test('planning a stage twice keeps the first plan', async () => {
  const { jobId } = await runningJob()
  expect(await db.transaction((tx) => planStage(tx, jobId, 'label', ['a', 'b']))).toEqual({ planned: true })
  expect(await db.transaction((tx) => planStage(tx, jobId, 'label', ['c']))).toEqual({ planned: false })
  expect(await readOpenBatches(db, jobId, 'label')).toEqual([0, 1])
})

test('a cancelled job takes no more results, and never moves its wiki', async () => {
  const { jobId } = await runningJob()
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [1]))
  await db.transaction((tx) => cancelJob(tx, jobId))
  await expect(db.transaction((tx) => finishBatch(tx, jobId, 'embed', 0, {}))).rejects.toThrow(JobNotRunning)
  expect(await db.transaction((tx) => completeJob(tx, jobId, {}))).toBe(false)
})

test('a retried job keeps its finished batches', async () => {
  const { jobId, wikiId } = await runningJob()
  await db.transaction((tx) => planStage(tx, jobId, 'embed', [1, 2]))
  await db.transaction((tx) => finishBatch(tx, jobId, 'embed', 0, {}))
  await db.transaction((tx) => failJob(tx, jobId, 'poison', 'page 2 cannot be read'))
  await db.transaction(async (tx) => {
    await requeueJob(tx, jobId)
    await startNextJob(tx, wikiId)
  })
  expect(await readJob(db, jobId)).toMatchObject({ status: 'running', attempt: 2, errorCode: null })
  expect(await readOpenBatches(db, jobId, 'embed')).toEqual([1])
})

test('jobs of one wiki run one after the other', async () => {
  const { jobId, wikiId } = await runningJob()
  const second = await db.transaction((tx) => createJob(tx, { wikiId, options: {} }))
  expect(await db.transaction((tx) => startNextJob(tx, wikiId))).toBeUndefined()
  await db.transaction((tx) => completeJob(tx, jobId, { pages_tagged: 1 }))
  const next = await db.transaction((tx) => startNextJob(tx, wikiId))
  expect(next).toMatchObject({ id: second?.id, previousJobId: jobId })
})

test('an old job that is retried does not take its wiki back from a newer one', async () => {
  const { jobId: old, wikiId } = await runningJob()
  const start = () => db.transaction((tx) => startNextJob(tx, wikiId))
  const complete = (jobId: string) => db.transaction((tx) => completeJob(tx, jobId, {}))
  await db.transaction((tx) => failJob(tx, old, 'poison', 'once'))
  await db.transaction((tx) => createJob(tx, { wikiId, options: {} }))
  const newer = (await start())?.id as string
  await complete(newer)
  await db.transaction((tx) => requeueJob(tx, old))
  await start()
  expect(await complete(old)).toBe(true)
  expect((await readWiki(db, wikiId))?.currentJobId).toBe(newer)
})

test('an idempotency key makes one job', async () => {
  const wikiId = await createTestWiki(db)
  const create = () =>
    db.transaction((tx) => createJob(tx, { wikiId, options: {}, idempotencyKey: 'k', requestHash: 'h' }))
  expect(await create()).toBeDefined()
  expect(await create()).toBeUndefined()
})
