import {
  completeJob,
  createJob,
  type Database,
  endAssignment,
  freezeJobPages,
  saveAssignedPages,
  saveClusterTags,
  startNextJob,
  storeClustering,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
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
})

const call = (method: 'GET' | 'POST', path: string, body?: unknown, by = key) =>
  gateway.call(by, method, `/api/wikis/${wiki}${path}`, body)

const pagesFrom = (first: number, count: number) => Array.from({ length: count }, (_, i) => `page ${first + i}`)

async function importPages(ids: readonly string[], text = 'Text'): Promise<void> {
  const lines = ids.map((id) => JSON.stringify({ id, title: id, text: `${text} of ${id}` })).join('\n')
  const type = { 'content-type': 'application/x-ndjson' }
  expect((await gateway.call(key, 'POST', `/api/wikis/${wiki}/pages`, lines, type)).status).toBe(200)
}

/** A completed run with one cluster (named "Topic") inside a broader one, of which a tenth of the own pages would be left out. */
async function completedRun(): Promise<string> {
  return db.transaction(async (tx) => {
    await createJob(tx, { wikiId: wiki, options: {} })
    const { id } = (await startNextJob(tx, wiki))!
    await freezeJobPages(tx, id, wiki, 'a model')
    const cluster = { strength: 1, centroid: Float32Array.of(1), joinThreshold: 0.5, lineageFrom: [], size: 3 }
    const born = { ...cluster, lineageEvent: 'born' as const }
    const clusters = [
      { ...born, no: 0, layer: 0, parentNo: 1, chosen: true, lineageId: 'fine' },
      { ...born, no: 1, layer: 1, parentNo: null, chosen: false, lineageId: 'broad' },
    ]
    await storeClustering(tx, id, {
      clusters,
      members: [],
      found: { pageIds: new Float64Array(), layers: [] },
      figures: { left_out_share: 0.1 },
    })
    await saveTags(tx, id)
    await completeJob(tx, id, {})
    return id
  })
}

async function saveTags(tx: Parameters<Parameters<Database['transaction']>[0]>[0], jobId: string): Promise<void> {
  const { rows } = await tx.client.query<{ id: number }>(
    `insert into tags (wiki_id, label, normalised, status, source)
     values ($1, 'Topic', 'topic', 'proposed', 'keyphrases'), ($1, 'Broader', 'broader', 'proposed', 'keyphrases') returning id`,
    [wiki],
  )
  await saveClusterTags(tx, jobId, [
    { clusterNo: 0, tagId: rows[0]!.id, confidence: 0.9, method: 'keyphrases', rank: 0 },
    { clusterNo: 1, tagId: rows[1]!.id, confidence: 0.7, method: 'keyphrases', rank: 0 },
  ])
}

/** What the clusterer does: the first `taken` pages join cluster 0, the others fit nothing. */
async function assignAs(id: string, taken: number): Promise<void> {
  await db.transaction(async (tx) => {
    const { rows } = await tx.client.query<{ id: string; content_hash: string }>(
      `select p.id, p.content_hash from assigned_pages a join pages p on p.id = a.page_id where a.assignment_id = $1 order by p.id`,
      [id],
    )
    const pages = rows.map((row, i) => ({
      pageId: Number(row.id),
      contentHash: row.content_hash,
      outcome: i < taken ? ('assigned' as const) : ('left_out' as const),
      clusterNo: i < taken ? 0 : null,
      similarity: i < taken ? 0.8 : 0.2,
    }))
    await saveAssignedPages(tx, id, pages)
    await endAssignment(tx, id, null)
  })
}

it('gives the pages since the run to the tagger, and shows their topics with the tags of broader ones', async () => {
  await importPages(pagesFrom(0, 3))
  const jobId = await completedRun()
  await importPages(pagesFrom(3, 2))
  await importPages(['page 0'], 'Other text')
  const asked = await call('POST', '/assignments')
  expect(asked).toMatchObject({ status: 202, body: { status: 'waiting', job_id: jobId, left_for_later: 0 } })
  expect(asked.headers.location).toBe(`/api/wikis/${wiki}/assignments/${asked.body.id}`)
  expect(asked.body.pages.map((page: { id: string }) => page.id)).toEqual(['page 0', 'page 3', 'page 4'])
  const owed = gateway.owed.filter((message) => message.body.includes(asked.body.id))
  expect(owed.map((message) => message.subject)).toEqual([`tagloom.v1.${wiki}.assignment.requested`])

  await assignAs(asked.body.id, 2)
  const { body } = await call('GET', `/assignments/${asked.body.id}`)
  expect(body).toMatchObject({ status: 'completed', failure: null, drift: { pages: 3, left_out: 1, rerun_due: false } })
  expect(body.pages).toMatchObject([
    {
      id: 'page 0',
      outcome: 'assigned',
      cluster_no: 0,
      lineage_id: 'fine',
      tags: [
        { label: 'Topic', confidence: expect.closeTo(0.9, 5) },
        { label: 'Broader', confidence: expect.closeTo(0.7, 5) },
      ],
    },
    { id: 'page 3', outcome: 'assigned' },
    { id: 'page 4', outcome: 'left_out', cluster_no: null, lineage_id: null, tags: [] },
  ])
  const nothingLeft = await call('POST', '/assignments')
  expect(nothingLeft).toMatchObject({ status: 202, body: { status: 'completed', pages: [] } })
})

it('shows no topic that people took from the page, nor any on a page that they locked', async () => {
  await importPages(pagesFrom(0, 3))
  await completedRun()
  await importPages(pagesFrom(3, 4))
  const { body: asked } = await call('POST', '/assignments')
  await assignAs(asked.id, 4)
  const decide = async (body: object) => expect((await call('POST', '/decisions', body)).status).toBe(201)
  await decide({ kind: 'rejected', page_id: 'page 3', tag: 'Topic' })
  await decide({ kind: 'locked', page_id: 'page 4' })
  // Rejected as what it goes into afterwards.
  await decide({ kind: 'approved', tag: 'Wider' })
  await decide({ kind: 'rejected', page_id: 'page 5', tag: 'Wider' })
  await decide({ kind: 'merged', tag: 'Broader', into: 'Wider' })
  // Given back after it was taken.
  await decide({ kind: 'rejected', page_id: 'page 6', tag: 'Topic' })
  await decide({ kind: 'added', page_id: 'page 6', tag: 'Topic' })
  const { body } = await call('GET', `/assignments/${asked.id}`)
  const labels = body.pages.map((page: { tags: { label: string }[] }) => page.tags.map(({ label }) => label))
  expect(labels).toEqual([['Wider'], [], ['Topic'], ['Topic', 'Wider']])
})

it('leaves to an assignment what it is about to take, until that is lost', async () => {
  await importPages(pagesFrom(0, 3))
  await completedRun()
  await importPages(pagesFrom(3, 2))
  const { body: first } = await call('POST', '/assignments')
  expect((await call('POST', '/assignments')).body).toMatchObject({ status: 'completed', pages: [], left_for_later: 0 })
  await db.pool.query(`update assignments set created_at = now() - interval '11 minutes' where id = $1`, [first.id])
  expect((await call('POST', '/assignments')).body).toMatchObject({ status: 'waiting', pages: first.pages })
})

it('takes pages by name, and refuses what is not there', async () => {
  await importPages(pagesFrom(0, 3))
  expect(await call('POST', '/assignments')).toMatchObject({ status: 409, body: { code: 'wiki_without_run' } })
  expect(await call('GET', '/drift')).toMatchObject({ status: 409, body: { code: 'wiki_without_run' } })
  await completedRun()
  const named = await call('POST', '/assignments', { pages: ['page 1'] })
  expect(named.body.pages).toMatchObject([{ id: 'page 1', outcome: 'waiting' }])
  const missing = await call('POST', '/assignments', { pages: ['page 1', 'nowhere', 'neither'] })
  expect(missing).toMatchObject({ status: 404, body: { code: 'page_not_found' } })
  expect(missing.body.detail).toContain('no page "nowhere", nor 1 others')
  expect(await call('POST', '/assignments', { pages: [] })).toMatchObject({ status: 400 })
  expect(await call('GET', '/assignments/none')).toMatchObject({ status: 404, body: { code: 'assignment_not_found' } })
  expect(await call('POST', '/assignments', {}, await gateway.key(['read']))).toMatchObject({ status: 403 })
})

it('says that a run is due when many pages fit nothing, and that one lost on its way has failed', async () => {
  await importPages(pagesFrom(0, 3))
  const jobId = await completedRun()
  await importPages(pagesFrom(3, 40))
  const { body: asked } = await call('POST', '/assignments')
  await assignAs(asked.id, 10)
  expect((await call('GET', '/drift')).body).toEqual({
    job_id: jobId,
    pages: 40,
    left_out: 30,
    expected_percentage: 10,
    drift: 7.5,
    rerun_due: true,
    advice: '30 of 40 pages since the run fit none of its topics, more than chance allows: start a job',
  })
  // A later assignment of a page counts instead of the one before.
  const { body: again } = await call('POST', '/assignments', { pages: pagesFrom(3, 40) })
  await db.pool.query(`update assignments set created_at = now() - interval '11 minutes' where id = $1`, [again.id])
  expect((await call('GET', `/assignments/${again.id}`)).body).toMatchObject({
    status: 'failed',
    failure: expect.stringContaining('not done within 10 minutes'),
  })
})
