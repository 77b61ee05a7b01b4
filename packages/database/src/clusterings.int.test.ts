import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  completeJob,
  type Database,
  freezeJobPages,
  listUnchangedPageIds,
  readClusteringFigures,
  readFoundLayers,
  readJobVectors,
  readMembers,
  readStoredClusters,
  saveEmbeddings,
  storeClustering,
} from './index.ts'
import { createJob, startNextJob } from './jobs.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
let jobId: string
let pageIds: number[]
beforeAll(async () => {
  db = await openTestDatabase()
  const wikiId = await createTestWiki(db)
  const { rows } = await db.pool.query<{ id: string }>(
    `insert into pages (wiki_id, external_id, title, text, content_hash, gold_label)
     select $1, n::text, 'page ' || n, 'text', 'hash' || n, case when n = 1 then 'gold' end from generate_series(1, 5) n returning id`,
    [wikiId],
  )
  pageIds = rows.map((row) => Number(row.id))
  jobId = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    const job = await startNextJob(tx, wikiId)
    await freezeJobPages(tx, job?.id as string, wikiId, 'm')
    const embeddings = pageIds.map((pageId, i) => ({
      pageId,
      contentHash: `hash${i + 1}`,
      tokens: 3,
      vector: i === 4 ? null : Float32Array.of(i, 0.5),
    }))
    await saveEmbeddings(tx, 'm', 2, embeddings)
    return job?.id as string
  })
})
afterAll(() => db.close())

test('vectors come in the order of page id, without pages that have none', async () => {
  const read = await readJobVectors(db, jobId, 'm')
  expect([...read.pageIds]).toEqual(pageIds.slice(0, 4))
  expect([...read.vectors]).toEqual([0, 0.5, 1, 0.5, 2, 0.5, 3, 0.5])
  expect(read).toMatchObject({ dims: 2, goldLabels: ['gold', null, null, null] })
})

test('a model that nothing was embedded with has no vectors', async () => {
  expect((await readJobVectors(db, jobId, 'other')).vectors).toHaveLength(0)
})

/** Of the four pages that have a vector */
const foundOf = (resolution: number, community: number) => ({
  pageIds: Float64Array.from(pageIds.slice(0, 4)),
  layers: [-1, 0].map((fromChosen) => ({
    fromChosen,
    resolution: resolution * 4 ** -fromChosen,
    communities: Int32Array.of(0, 1, 1, community),
  })),
})

test('a clustering is read as it was stored', async () => {
  const cluster = {
    no: 0,
    layer: 0,
    parentNo: null,
    chosen: true,
    size: 2,
    strength: 0.5,
    joinThreshold: 0.25,
    lineageId: 'a',
  }
  const centroid = Float32Array.of(0.6, 0.8)
  const members = pageIds
    .slice(0, 2)
    .map((pageId) => ({ layer: 0, pageId, clusterNo: 0, strength: 1, attached: false }))
  await db.transaction((tx) =>
    storeClustering(tx, jobId, {
      clusters: [{ ...cluster, centroid, lineageEvent: 'born', lineageFrom: [] }],
      members,
      found: foundOf(0.7071067811865475, 1),
      figures: { layers: 1 },
    }),
  )
  expect(await readStoredClusters(db, jobId)).toEqual([{ ...cluster, centroid }])
  const read = []
  for await (const some of readMembers(db, jobId)) read.push(...some)
  expect(read).toEqual(members)
  expect(await readClusteringFigures(db, jobId)).toEqual({ layers: 1 })
  const { pageIds: found, layers } = foundOf(0.7071067811865475, 1)
  expect(await readFoundLayers(db, jobId)).toEqual(layers.map((layer) => ({ ...layer, pageIds: found })))
})

test('only the last two runs keep what the next goes on from, and tell which pages say the same', async () => {
  const wikiId = await createTestWiki(db)
  const run = async (changed: number) => {
    await db.pool.query(
      `insert into pages (wiki_id, external_id, title, text, content_hash)
       select $1, n::text, 'page', 'text', case when n <= $2 then 'changed' else 'hash' end || $2 from generate_series(1, 4) n
       on conflict (wiki_id, external_id) do update set content_hash = excluded.content_hash where pages.external_id::int <= $2`,
      [wikiId, changed],
    )
    return db.transaction(async (tx) => {
      await createJob(tx, { wikiId, options: {} })
      const job = await startNextJob(tx, wikiId)
      const id = job?.id as string
      await freezeJobPages(tx, id, wikiId, 'm')
      await storeClustering(tx, id, { clusters: [], members: [], found: foundOf(1, changed), figures: {} })
      await completeJob(tx, id, {})
      return id
    })
  }
  const [first, second, third] = [await run(0), await run(1), await run(2)]
  const found = await Promise.all([first, second, third].map((id) => readFoundLayers(db, id)))
  expect(found.map((layers) => layers.length)).toEqual([0, 2, 2])
  expect(found[2]![0]!.communities.at(-1)).toBe(2)
  // Runs of other wikis keep theirs.
  expect(await readFoundLayers(db, jobId)).toHaveLength(2)
  expect(await listUnchangedPageIds(db, second, first)).toHaveLength(3)
  expect(await listUnchangedPageIds(db, third, second)).toHaveLength(2)
})
