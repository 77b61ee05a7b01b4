import { whenDrained } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import {
  addPageTag,
  approveTag,
  createTags,
  lockPage,
  planStage,
  readJob,
  readWiki,
  rejectPageTag,
  rejectTag,
} from '@tagloom/database'
import fastify from 'fastify'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { JobTagsCache } from './propagate-batch/job-tags.ts'
import { model, openPropagators, type PropagatorsUnderTest, proposed, vector } from './testing.ts'
import { forgetOnChange } from './vocabulary-changed/forget.ts'

let propagators: PropagatorsUnderTest
let deps: PropagatorsUnderTest['deps']
let seen: PropagatorsUnderTest['seen']
let { prepare, propagate, whenCompleted, completed, samplesOf, tagsOf } = {} as PropagatorsUnderTest
beforeAll(async () => {
  propagators = await openPropagators()
  ;({ deps, seen, prepare, propagate, whenCompleted, completed, samplesOf, tagsOf } = propagators)
  for (const caching of [true, false]) await propagators.start(caching)
})
afterAll(() => propagators.close())

test('tags pages from their clusters in batches, completes the job once and moves the pointer of the wiki', async () => {
  const run = await prepare()
  await propagate(run)
  const tags = await tagsOf(run.jobId)
  const inClusters = tags.filter(({ page }) => run.pageIds.indexOf(page) < 50)
  expect(new Set(inClusters.map(({ page }) => page)).size).toBe(50)
  expect(inClusters.every(({ page, tag }) => tag === run.tagIds[run.pageIds.indexOf(page) < 25 ? 0 : 1])).toBe(true)
  expect(tags.filter(({ page }) => run.pageIds.indexOf(page) >= 50)).toEqual([])
  expect(completed(run.jobId)!.data).toMatchObject({ pages_processed: 60, pages_tagged: 50, tags_applied: 50 })
  expect((await readWiki(deps.db, run.wikiId))?.currentJobId).toBe(run.jobId)
  expect(await readJob(deps.db, run.jobId)).toMatchObject({ status: 'completed', summary: { pages_tagged: 50 } })
  const samples = samplesOf(run.jobId)
  const sum = (name: string) => samples.reduce((total, { counters }) => total + (counters[name] ?? 0), 0)
  expect(samples).toHaveLength(10)
  expect([sum('pages_processed'), sum('pages_tagged'), sum('tags_applied')]).toEqual([60, 50, 50])
  expect([sum('pages_by_tags.0'), sum('pages_by_tags.1')]).toEqual([10, 50])
  expect(deps.log.of('job_completed').filter(({ job_id }) => job_id === run.jobId)).toHaveLength(1)
})

test('a second delivery changes nothing', async () => {
  const run = await prepare()
  await propagate(run)
  const before = await tagsOf(run.jobId)
  const seenBefore = seen.length
  const job = { wiki_id: run.wikiId, job_id: run.jobId }
  await deps.bus.publish(
    toMessage(events.clustersTagged, { ...job, clusters: 2, tags: 2 }, { source: 'test' }, 'again'),
  )
  await deps.bus.publish(toMessage(events.propagateBatch, { ...job, batch: 0 }, { source: 'test' }, 'again'))
  await whenDrained(deps.bus)
  expect(await tagsOf(run.jobId)).toEqual(before)
  expect(seen.slice(seenBefore).map(({ type }) => type)).toEqual([events.clustersTagged.type])
})

test('puts no tag where people decided against it, and counts each as a conflict', async () => {
  const run = await prepare()
  const by = { wikiId: run.wikiId, decidedBy: 'tester' }
  const [locked, rejected, human] = run.pageIds as [number, number, number]
  await deps.db.transaction(async (tx) => {
    await lockPage(tx, by, null, locked)
    await rejectPageTag(tx, by, rejected, run.tagIds[0]!)
    await addPageTag(tx, by, human, 'by hand')
    await rejectTag(tx, by, run.tagIds[1]!)
  })
  await propagate(run)
  const tags = await tagsOf(run.jobId)
  expect(tags.filter(({ page, tag }) => page === locked || page === rejected || tag === run.tagIds[1])).toEqual([])
  expect(tags.map(({ page }) => page)).toContain(human)
  expect(deps.log.of('tags_propagated').find(({ job_id }) => job_id === run.jobId)).toMatchObject({ conflicts: 27 })
})

test('compares every batch with the tags that were approved when the job was planned, and heeds a rejection at once', async () => {
  const run = await prepare({ confidence_threshold: 0.1 }, 57)
  const by = { wikiId: run.wikiId, decidedBy: 'tester' }
  const place = { wikiId: run.wikiId, jobId: run.jobId, model }
  // Pages 50 to 56 are in no cluster and near to both; the one that is approved beforehand is theirs by similarity.
  const [early, late] = (await deps.db.transaction((tx) =>
    createTags(tx, place, [proposed('early', vector(5)), proposed('late', vector(5))]),
  )) as [number, number]
  await deps.db.transaction((tx) => approveTag(tx, by, early))
  let decided = false
  const transaction = deps.db.transaction.bind(deps.db)
  // In the middle of the propagation: before the third batch is written.
  const spy = vi.spyOn(deps.db, 'transaction').mockImplementation(async (work) => {
    if (!decided && (await doneBatches(run.jobId)) >= 2) {
      decided = true
      await transaction(async (tx) => {
        await approveTag(tx, by, late)
        await rejectTag(tx, by, run.tagIds[1]!)
      })
      const revision = { wiki_id: run.wikiId, revision: `decision.${run.jobId}`, reason: 'test' }
      await deps.bus.publish(toMessage(events.vocabularyChanged, revision, { source: 'gateway' }))
    }
    return transaction(work)
  })
  await propagate(run)
  spy.mockRestore()
  expect(decided).toBe(true)
  const tags = await tagsOf(run.jobId)
  expect(tags.filter(({ tag }) => tag === early)).toHaveLength(7)
  expect(tags.filter(({ tag }) => tag === late)).toEqual([])
})

test('a decision made elsewhere is seen by every replica with a cache, as one without reads it', async () => {
  const run = await prepare()
  const job = (await readJob(deps.db, run.jobId))!
  const caches = [true, true, false].map((enabled) => new JobTagsCache(deps.db, enabled))
  const replicas = await Promise.all(
    caches.map(async (jobTags) => {
      const app = fastify()
      forgetOnChange(app, deps.bus, jobTags)
      await app.ready()
      return app
    }),
  )
  onTestFinished(async () => void (await Promise.all(replicas.map((app) => app.close()))))
  const before = await Promise.all(caches.map((jobTags) => jobTags.of(job)))
  expect(before.map(({ rejected }) => rejected.size)).toEqual([0, 0, 0])
  await deps.db.transaction((tx) => rejectTag(tx, { wikiId: run.wikiId, decidedBy: 'tester' }, run.tagIds[1]!))
  // Nobody was told yet.
  expect(await caches[0]!.of(job)).toBe(before[0])
  const changed = { wiki_id: run.wikiId, revision: `decision.${run.jobId}`, reason: 'rejected' }
  await deps.bus.publish(toMessage(events.vocabularyChanged, changed, { source: 'gateway' }))
  const now = await caches[2]!.of(job)
  expect([...now.rejected].map((row) => now.tagIds[row])).toEqual([run.tagIds[1]])
  for (const jobTags of caches.slice(0, 2)) await expect.poll(() => jobTags.of(job), { interval: 20 }).toEqual(now)
})

const doneBatches = async (jobId: string): Promise<number> =>
  (
    await deps.db.pool.query<{ n: number }>(
      `select count(*)::int as n from job_batches where job_id = $1 and stage = 'propagate' and done_at is not null`,
      [jobId],
    )
  ).rows[0]!.n

test('a deadlock with another transaction costs no delivery and is counted in the record', async () => {
  const run = await prepare({}, 5)
  await deps.db.transaction((tx) => planStage(tx, run.jobId, 'propagate', [{ page_ids: run.pageIds, of: 5 }]))
  const retried = deps.log.of('message_retried').length
  const other = await deps.db.pool.connect()
  // It waits longer before it looks for a circle, so that the handler's transaction is the one that is broken off.
  await other.query(`begin; set local deadlock_timeout = '20s'`)
  await other.query(`select from job_stages where job_id = $1 and stage = 'propagate' for update`, [run.jobId])
  const message = { wiki_id: run.wikiId, job_id: run.jobId, batch: 0 }
  await deps.bus.publish(toMessage(events.propagateBatch, message, { source: 'propagator' }))
  await vi.waitFor(async () => expect(await waitingForLocks()).toBe(1), { timeout: 10_000, interval: 10 })
  await other.query(`update job_batches set payload = payload where job_id = $1 and stage = 'propagate'`, [run.jobId])
  await other.query('rollback')
  other.release()
  await whenCompleted(run.jobId)
  expect((await tagsOf(run.jobId)).length).toBe(5)
  expect(deps.log.of('database_error').filter(({ job_id }) => job_id === run.jobId)).toMatchObject([{ code: '40P01' }])
  expect(deps.log.of('message_retried')).toHaveLength(retried)
  expect(samplesOf(run.jobId).map(({ counters }) => counters.database_errors)).toEqual([1])
})

const waitingForLocks = async (): Promise<number> =>
  (
    await deps.db.pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
  ).rows[0]!.n

test('says how right its confidence was, over pages and tags that people used', async () => {
  const run = await prepare()
  const by = { wikiId: run.wikiId, decidedBy: 'tester' }
  // People gave "alpha" to 20 of the 25 pages of its cluster, and "beta" to 4 pages of the other one.
  await deps.db.transaction(async (tx) => {
    for (const page of run.pageIds.slice(0, 20)) await addPageTag(tx, by, page, 'alpha')
    for (const page of run.pageIds.slice(18, 22)) await addPageTag(tx, by, page, 'beta')
  })
  await propagate(run)
  const details = samplesOf(run.jobId).flatMap(({ details }) => (details && 'reliability' in details ? [details] : []))
  expect(details).toHaveLength(1)
  const { page_tags, expected_calibration_error, bins } = details[0]!.reliability as {
    page_tags: number
    expected_calibration_error: number
    bins: { count: number; mean_confidence: number; hit_rate: number }[]
  }
  // 22 pages have a tag of a person; the job gave each "alpha", and 20 of them have it of a person too.
  expect([page_tags, bins.length]).toEqual([22, 1])
  expect(bins[0]!.hit_rate).toBeCloseTo(20 / 22, 6)
  expect(expected_calibration_error).toBeCloseTo(Math.abs(bins[0]!.mean_confidence - 20 / 22), 6)
})

test('keeps to the threshold of the job', async () => {
  const run = await prepare({ confidence_threshold: 1 })
  await propagate(run)
  expect(await tagsOf(run.jobId)).toEqual([])
})

test('completes a job without pages at once', async () => {
  const run = await prepare({}, 0)
  await propagate(run)
  expect(completed(run.jobId)!.data).toMatchObject({ pages_processed: 0, pages_tagged: 0, tags_applied: 0 })
})

test('leaves the pointer of the wiki where it is after a dry run', async () => {
  const run = await prepare({ dry_run: true })
  await propagate(run)
  expect((await readWiki(deps.db, run.wikiId))?.currentJobId).toBeNull()
  expect((await tagsOf(run.jobId)).length).toBe(50)
})

test('gives pages the tags of their clusters where the vectors of the tags are of another model by now', async () => {
  const run = await prepare()
  await deps.db.pool.query(`update tags set model = 'newer' where wiki_id = $1`, [run.wikiId])
  await propagate(run)
  expect(new Set((await tagsOf(run.jobId)).map(({ page }) => page)).size).toBe(50)
})
