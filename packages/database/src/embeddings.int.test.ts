import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, saveEmbeddings, storePages } from './index.ts'
import { createTestWiki, openTestDatabase, whenWaitingForLocks } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('a new page that a job and an assignment embed at once gets its vector once, and neither fails', async () => {
  const wikiId = await createTestWiki(db)
  const page = { externalId: 'p', title: 'p', text: 'text', goldLabel: null, tags: undefined }
  const { pageIds } = await storePages(db, wikiId, [page])
  const made = (tokens: number) => [
    { pageId: pageIds[0]!, contentHash: 'h', tokens, vector: Float32Array.of(tokens, 0) },
  ]
  let second: Promise<number> = Promise.resolve(0)
  await db.transaction(async (tx) => {
    await saveEmbeddings(tx, 'm', 2, made(1))
    second = db.transaction((other) => saveEmbeddings(other, 'm', 2, made(2)))
    await whenWaitingForLocks(db, 1)
  })
  expect(await second).toBe(1)
  const { rows } = await db.pool.query('select tokens from page_embeddings where page_id = $1', [pageIds[0]])
  expect(rows).toEqual([{ tokens: 2 }])
})
