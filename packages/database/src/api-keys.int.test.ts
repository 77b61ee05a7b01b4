import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  countPages,
  createApiKey,
  createJob,
  createWiki,
  type Database,
  ensureApiKey,
  findApiKey,
  findJobByIdempotencyKey,
  listApiKeys,
  listJobs,
  listWikis,
  planStage,
  readJobView,
  readWiki,
  revokeApiKey,
  startNextJob,
  storePages,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('a revoked key is not found', async () => {
  const key = await createApiKey(db, { name: 'one', hash: 'h1', scopes: ['read'], wikiIds: [1, 2] })
  expect(await findApiKey(db, 'h1')).toMatchObject({ id: key.id, scopes: ['read'], wikiIds: [1, 2] })
  expect([await revokeApiKey(db, key.id), await revokeApiKey(db, key.id), await revokeApiKey(db, 9999)]).toEqual([
    true,
    true,
    false,
  ])
  expect(await findApiKey(db, 'h1')).toBeUndefined()
  expect((await listApiKeys(db, 10)).map((row) => row.revokedAt !== null)).toEqual([true])
})

test("the environment's key is made once, and its predecessor is revoked", async () => {
  await Promise.all([ensureApiKey(db, 'environment', 'old'), ensureApiKey(db, 'environment', 'old')])
  await ensureApiKey(db, 'environment', 'new')
  expect(await findApiKey(db, 'old')).toBeUndefined()
  expect(await findApiKey(db, 'new')).toMatchObject({ scopes: ['read', 'write', 'admin'], wikiIds: null })
})

test('a wiki has a name of its own', async () => {
  const wiki = await createWiki(db, 'unique')
  expect(await createWiki(db, 'unique')).toBeUndefined()
  expect(await readWiki(db, wiki!.id)).toEqual(wiki)
  const blank = { title: '', text: '', goldLabel: null, tags: undefined }
  await storePages(db, wiki!.id, [
    { ...blank, externalId: 'a' },
    { ...blank, externalId: 'b' },
  ])
  expect(await countPages(db, [wiki!.id, 999_999])).toEqual(
    new Map([
      [wiki!.id, 2],
      [999_999, 0],
    ]),
  )
  await db.pool.query('delete from pages')
  expect(await listWikis(db, { limit: 10, name: 'unique' })).toEqual([wiki])
  expect(await listWikis(db, { limit: 10, wikiIds: [] })).toEqual([])
  expect(await listWikis(db, { limit: 10, wikiIds: [wiki!.id], afterId: wiki!.id })).toEqual([])
})

test('jobs are listed newest first with their stages and who asked for them', async () => {
  const wikiId = await createTestWiki(db)
  const key = await createApiKey(db, { name: 'asker', hash: 'h2', scopes: ['write'], wikiIds: null })
  const make = (idempotencyKey?: string) =>
    db.transaction((tx) => createJob(tx, { wikiId, options: {}, requestedBy: key.id, idempotencyKey }))
  const first = await make('k')
  expect(await make('k')).toBeUndefined()
  expect((await findJobByIdempotencyKey(db, wikiId, 'k'))?.id).toBe(first?.id)
  const second = await make()
  await db.transaction((tx) => startNextJob(tx, wikiId))
  await db.transaction((tx) => planStage(tx, first!.id, 'embed', [{}, {}]))
  const list = await listJobs(db, { limit: 10, wikiId })
  expect(list.map((job) => job.id).toSorted()).toEqual([first!.id, second!.id].toSorted())
  expect(await readJobView(db, first!.id)).toMatchObject({
    status: 'running',
    requestedByName: 'asker',
    stages: [{ stage: 'embed', done: 0, total: 2 }],
  })
  const [newest] = list
  expect(await listJobs(db, { limit: 10, wikiId, before: newest! })).toHaveLength(1)
  expect(await listJobs(db, { limit: 10, wikiId, status: 'queued' })).toMatchObject([{ id: second!.id }])
  expect(await listJobs(db, { limit: 10, wikiIds: [] })).toEqual([])
})
