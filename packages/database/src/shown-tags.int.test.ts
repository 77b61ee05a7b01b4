import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  addPageTag,
  approveTag,
  createJob,
  type Database,
  listClusters,
  listDecisions,
  listPages,
  listTags,
  lockPage,
  mergeTag,
  readPage,
  rejectPageTag,
  rejectTag,
  revokeDecision,
  storePages,
  type Transaction,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

/*
 * Pages a and b, both in cluster 0 of a job with the tags alpha (0.9) and beta (0.5); page c in no cluster.
 */
let db: Database
let wikiId: number
let jobId: string
let pageIds: readonly number[]
let tag: Record<'alpha' | 'beta', number>

beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
  const blank = { title: 't', text: 'x', goldLabel: null, tags: undefined }
  await storePages(
    db,
    wikiId,
    ['a', 'b', 'c'].map((externalId) => ({ ...blank, externalId })),
  )
  pageIds = (await listPages(db, { wikiId, jobId: null, limit: 10 })).map((page) => page.id)
  jobId = (await db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!.id
  tag = { alpha: await makeTag('alpha'), beta: await makeTag('beta') }
  await db.pool.query(
    `insert into clusters (job_id, no, layer, chosen, size, strength, centroid, join_threshold, lineage_id, lineage_event)
     values ($1, 0, 0, true, 2, 0.8, '', 0, 'L0', 'born'), ($1, 1, 1, false, 3, 0.8, '', 0, 'L1', 'born')`,
    [jobId],
  )
  for (const [at, id] of pageIds.slice(0, 2).entries()) {
    await db.pool.query(
      'insert into cluster_members (job_id, layer, page_id, cluster_no, strength) values ($1, 0, $2, 0, $3)',
      [jobId, id, at + 0.5],
    )
    for (const [tagId, confidence] of [
      [tag.alpha, 0.9],
      [tag.beta, 0.5],
    ])
      await db.pool.query(
        `insert into page_tags (job_id, page_id, tag_id, confidence, origin, cluster_no, batch_no) values ($1, $2, $3, $4, 'cluster', 0, 0)`,
        [jobId, id, tagId, confidence],
      )
  }
  await db.pool.query(
    `insert into cluster_tags (job_id, cluster_no, tag_id, confidence, method, rank)
     values ($1, 0, $2, 0.9, 'keyphrases', 0), ($1, 0, $3, 0.5, 'vocabulary', 1)`,
    [jobId, tag.alpha, tag.beta],
  )
})

async function makeTag(label: string): Promise<number> {
  const { rows } = await db.pool.query(
    `insert into tags (wiki_id, label, normalised, status, source) values ($1, $2, $2, 'proposed', 'keyphrases') returning id`,
    [wikiId, label],
  )
  return rows[0].id
}
const who = () => ({ wikiId, decidedBy: 'ann' })
const decide = <Result>(work: (tx: Transaction) => Promise<Result>) => db.transaction(work)
const shown = async (id: string) =>
  (await readPage(db, wikiId, jobId, id))?.tags.map((t) => `${t.label} ${t.confidence ?? t.decidedBy}`)

test('a page shows the tags of the job with their confidence and cluster', async () => {
  const page = await readPage(db, wikiId, jobId, 'a')
  expect(page?.tags).toEqual([
    { tagId: tag.alpha, label: 'alpha', confidence: 0.9, origin: 'cluster', jobId, clusterNo: 0, decidedBy: null },
    { tagId: tag.beta, label: 'beta', confidence: 0.5, origin: 'cluster', jobId, clusterNo: 0, decidedBy: null },
  ])
  expect(await shown('c')).toEqual([])
})

test("a person's tag is shown, and wins over the same tag of the job", async () => {
  await decide((tx) => addPageTag(tx, who(), pageIds[0]!, 'Alpha'))
  await decide((tx) => addPageTag(tx, who(), pageIds[0]!, 'mine'))
  expect(await shown('a')).toEqual(['alpha ann', 'mine ann', 'beta 0.5'])
  expect(await shown('b')).toEqual(['alpha 0.9', 'beta 0.5'])
})

test('a tag rejected on a page is not shown there, and added again it is', async () => {
  await decide((tx) => rejectPageTag(tx, who(), pageIds[0]!, tag.alpha))
  expect([await shown('a'), await shown('b')]).toEqual([['beta 0.5'], ['alpha 0.9', 'beta 0.5']])
  await decide((tx) => addPageTag(tx, who(), pageIds[0]!, 'alpha'))
  expect(await shown('a')).toEqual(['alpha ann', 'beta 0.5'])
})

test('a rejected tag is shown nowhere, and approved it is again', async () => {
  await decide((tx) => rejectTag(tx, who(), tag.alpha))
  expect([await shown('a'), await shown('b')]).toEqual([['beta 0.5'], ['beta 0.5']])
  await decide((tx) => approveTag(tx, who(), tag.alpha))
  expect(await shown('a')).toEqual(['alpha 0.9', 'beta 0.5'])
})

test('a merged tag is shown as the other, also where that was merged on, and where it was rejected', async () => {
  const gamma = await makeTag('gamma')
  await decide((tx) => rejectPageTag(tx, who(), pageIds[1]!, tag.alpha))
  await decide((tx) => mergeTag(tx, who(), tag.alpha, tag.beta))
  expect(await shown('a')).toEqual(['beta 0.9'])
  expect(await shown('b')).toEqual([])
  await decide((tx) => mergeTag(tx, who(), tag.beta, gamma))
  expect(await shown('a')).toEqual(['gamma 0.9'])
})

test('a locked page keeps the tags it shows, whatever later jobs find', async () => {
  await decide((tx) => lockPage(tx, who(), jobId, pageIds[0]!))
  await decide((tx) => lockPage(tx, who(), jobId, pageIds[0]!))
  expect(await shown('a')).toEqual(['alpha ann', 'beta ann'])
  expect((await readPage(db, wikiId, 'another job', 'a'))?.tags.map((t) => t.label)).toEqual(['alpha', 'beta'])
  expect((await readPage(db, wikiId, jobId, 'a'))?.locked).toBe(true)
})

test('a decision taken back is as if it had not been made', async () => {
  await decide((tx) => mergeTag(tx, who(), tag.alpha, tag.beta))
  const [merged] = await listDecisions(db, { wikiId, limit: 10 })
  expect(merged).toMatchObject({ kind: 'merged', tag: 'alpha', into: 'beta', decidedBy: 'ann', pageId: null })
  expect(await decide((tx) => revokeDecision(tx, wikiId, merged!.id))).toBe(true)
  expect(await decide((tx) => revokeDecision(tx, wikiId, merged!.id))).toBe(false)
  expect(await shown('a')).toEqual(['alpha 0.9', 'beta 0.5'])
})

test('pages are found by tag and by having none', async () => {
  const ids = async (filter: { tag?: string; untagged?: boolean }) =>
    (await listPages(db, { wikiId, jobId, limit: 10, ...filter })).map((page) => page.externalId)
  await decide((tx) => rejectPageTag(tx, who(), pageIds[1]!, tag.alpha))
  await decide((tx) => addPageTag(tx, who(), pageIds[2]!, 'alpha'))
  expect(await ids({ tag: 'Alphas' })).toEqual(['a', 'c'])
  expect(await ids({ tag: 'unknown' })).toEqual([])
  expect(await ids({ untagged: true })).toEqual([])
  expect(await ids({ untagged: false })).toEqual(['a', 'b', 'c'])
})

test('tags are counted as they are shown', async () => {
  await decide((tx) => rejectPageTag(tx, who(), pageIds[1]!, tag.alpha))
  const list = await listTags(db, { wikiId, jobId, limit: 10 })
  expect(list.map((t) => [t.label, t.pageCount, t.clusterCount])).toEqual([
    ['beta', 2, 1],
    ['alpha', 1, 1],
  ])
  const [first] = list
  const rest = await listTags(db, { wikiId, jobId, limit: 10, after: first! })
  expect(rest.map((t) => t.label)).toEqual(['alpha'])
  expect((await listTags(db, { wikiId, jobId, limit: 10, search: 'ALPH' })).map((t) => t.label)).toEqual(['alpha'])
  await decide((tx) => mergeTag(tx, who(), tag.alpha, tag.beta))
  expect(await listTags(db, { wikiId, jobId, limit: 10, status: 'merged' })).toMatchObject([
    { label: 'alpha', mergedInto: 'beta' },
  ])
})

test('clusters come with their tags in rank order and their strongest pages', async () => {
  const [cluster, ...others] = await listClusters(db, { jobId, limit: 10 })
  expect(others).toEqual([])
  expect(cluster).toMatchObject({
    no: 0,
    size: 2,
    lineageId: 'L0',
    tags: [
      { label: 'alpha', confidence: 0.9, method: 'keyphrases' },
      { label: 'beta', confidence: 0.5, method: 'vocabulary' },
    ],
    pages: [{ id: 'b' }, { id: 'a' }],
  })
  expect((await listClusters(db, { jobId, layer: 1, limit: 10 })).map((c) => c.no)).toEqual([1])
  expect(await listClusters(db, { jobId, limit: 10, after: cluster! })).toEqual([])
})
