import { whenDrained } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import { cancelJob, createJob, ensureTags, readJob, readStages, startNextJob, storePages } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openTagger, type TaggerUnderTest } from './testing.ts'

let tagger: TaggerUnderTest
beforeAll(async () => {
  tagger = await openTagger()
  await tagger.start()
})
afterAll(() => tagger.close())

async function cancel(wikiId: number, jobId: string): Promise<void> {
  const { db, bus } = tagger.deps
  await db.transaction((tx) => cancelJob(tx, jobId))
  const data = { wiki_id: wikiId, job_id: jobId, reason: 'a test' }
  await bus.publish(toMessage(events.jobCancelled, data, { source: 'gateway' }))
}

const count = async (query: string, value: unknown): Promise<number> =>
  (await tagger.deps.db.pool.query<{ n: number }>(`select count(*)::int as n from ${query}`, [value])).rows[0]!.n

const emitted = (jobId: string): string[] =>
  tagger.seen
    .filter(({ type, data }) => (data as { job_id?: string }).job_id === jobId && type !== events.jobCancelled.type)
    .map(({ type }) => type)

test('a job that is cancelled while its pages are embedded stores no vector any more', async () => {
  const { db, bus, log } = tagger.deps
  const wikiId = await createTestWiki(db)
  const page = (k: number) => {
    const text = `What page ${k} says about subject ${k % 7}, at some length, and then again. `.repeat(4 + (k % 9))
    return { externalId: `p${k}`, title: `Page ${k}`, text, goldLabel: null, tags: undefined }
  }
  await storePages(
    db,
    wikiId,
    Array.from({ length: 1_300 }, (_, k) => page(k)),
  )
  const { id: jobId } = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!
  })
  const requested = toMessage(
    events.jobRequested,
    { wiki_id: wikiId, job_id: jobId, options: {} },
    { source: 'gateway' },
  )
  await bus.publish(requested)
  const done = () => log.of('batch_completed').filter((line) => line.job_id === jobId).length
  await vi.waitFor(() => expect(done()).toBe(1), { timeout: 25_000, interval: 5 })
  await cancel(wikiId, jobId)
  const embedded = 'page_embeddings where page_id in (select id from pages where wiki_id = $1)'
  const stored = await count(embedded, wikiId)
  await whenDrained(bus)
  expect(stored).toBeGreaterThan(0)
  expect(stored).toBeLessThan(1_300)
  expect(await count(embedded, wikiId)).toBe(stored)
  const [stage] = await readStages(db, jobId)
  expect([done(), stage!.done]).toEqual([stage!.done, done()])
  expect(stage!.total).toBeGreaterThan(done() + 1)
  expect(emitted(jobId)).not.toContain(events.pagesEmbedded.type)
})

test.each([
  ['its phrases are counted', 0],
  ['labels are proposed', 1],
  ['labels are matched', 2],
])('a job that is cancelled while %s leaves the vocabulary as it is', async (_, written) => {
  const { db, bus, relay } = tagger.deps
  const wikiId = await tagger.wiki()
  await db.transaction((tx) => ensureTags(tx, wikiId, ['Sailing', 'Tax law'], 'human'))
  const jobId = await tagger.clusteredJob(wikiId)
  await whenDrained(bus)
  const before = emitted(jobId).length
  const commit = relay.commit.bind(relay)
  let commits = 0
  const spy = vi.spyOn(relay, 'commit').mockImplementation(async (work) => {
    if (commits++ === written) await cancel(wikiId, jobId)
    return commit(work)
  })
  const data = { wiki_id: wikiId, job_id: jobId, clusters: 6, layers: 2, outliers: 0 }
  await bus.publish(toMessage(events.clustersFormed, data, { source: 'clusterer' }))
  await vi.waitFor(async () => expect((await readJob(db, jobId))!.status).toBe('cancelled'), { timeout: 25_000 })
  await whenDrained(bus)
  spy.mockRestore()
  expect(commits).toBe(written + 1)
  expect(await count('tags where wiki_id = $1', wikiId)).toBe(2)
  expect(await count('tags where embedding is not null and wiki_id = $1', wikiId)).toBe(0)
  expect(await count('cluster_tags where job_id = $1', jobId)).toBe(0)
  const since = emitted(jobId).slice(before)
  expect(since.filter((type) => type === events.metricsSampled.type)).toHaveLength(written)
  expect(since).not.toContain(events.clustersTagged.type)
})
