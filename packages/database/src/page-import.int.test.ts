import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  type Database,
  deletePage,
  listPages,
  openPageMirror,
  type PageToStore,
  readPage,
  storePages,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
let wiki: number
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  wiki = await createTestWiki(db)
})

const page = (id: string, more: Partial<PageToStore> = {}): PageToStore => ({
  externalId: id,
  title: `Title of ${id}`,
  text: `Text of ${id}`,
  goldLabel: null,
  tags: undefined,
  ...more,
})
const counts = async (...pages: PageToStore[]) => {
  const { created, updated, unchanged } = await storePages(db, wiki, pages)
  return { created, updated, unchanged }
}
const tagsOf = async (id: string) => (await readPage(db, wiki, null, id))?.tags.map((tag) => tag.label)

test('pages are created, then unchanged, then updated where their text differs', async () => {
  expect(await counts(page('a'), page('b'))).toEqual({ created: 2, updated: 0, unchanged: 0 })
  expect(await counts(page('a'), page('b'))).toEqual({ created: 0, updated: 0, unchanged: 2 })
  expect(await counts(page('a', { text: 'new' }), page('b'), page('c'))).toEqual({
    created: 1,
    updated: 1,
    unchanged: 1,
  })
  expect((await readPage(db, wiki, null, 'a'))?.text).toBe('new')
})

test('the content hash tells the title from the text', async () => {
  await storePages(db, wiki, [page('a', { title: 'ab', text: 'c' }), page('b', { title: 'a', text: 'bc' })])
  const [a, b] = await listPages(db, { wikiId: wiki, jobId: null, limit: 10 })
  expect(a?.contentHash).toMatch(/^[0-9a-f]{64}$/)
  expect(a?.contentHash).not.toBe(b?.contentHash)
})

test('every character of any script is kept', async () => {
  const text = 'quote " backslash \\ brace {} comma , NULL \n\t 日本語 العربية 🦆'
  await storePages(db, wiki, [page('"{odd}, \\id', { title: text, text })])
  expect(await readPage(db, wiki, null, '"{odd}, \\id')).toMatchObject({ title: text, text })
})

test('a page of 5 MB is stored', async () => {
  const text = 'long '.repeat(1_000_000)
  await storePages(db, wiki, [page('long', { text })])
  expect((await readPage(db, wiki, null, 'long'))?.characters).toBe(5_000_000)
})

test('tags of an import are given to the page, and those that the next import lacks are taken', async () => {
  await storePages(db, wiki, [page('a', { tags: ['Neural Networks', 'Maths'] })])
  expect(await tagsOf('a')).toEqual(['Maths', 'Neural Networks'])
  expect(await counts(page('a', { tags: ['neural-network'] }))).toEqual({ created: 0, updated: 1, unchanged: 0 })
  expect(await tagsOf('a')).toEqual(['Neural Networks'])
  expect(await counts(page('a', { tags: ['neural network'] }))).toEqual({ created: 0, updated: 0, unchanged: 1 })
  expect(await counts(page('a'))).toEqual({ created: 0, updated: 0, unchanged: 1 })
  expect(await tagsOf('a')).toEqual(['Neural Networks'])
})

test('two imports of the same pages at once both succeed', async () => {
  const pages = Array.from({ length: 300 }, (_, i) => page(`p${i}`, { tags: [`tag ${i % 7}`] }))
  const both = await Promise.all([storePages(db, wiki, pages), storePages(db, wiki, pages.toReversed())])
  expect(both[0].created + both[1].created).toBe(300)
})

test('a mirror deletes what it was not told to keep', async () => {
  const { pageIds } = await storePages(db, wiki, [page('a'), page('b', { tags: ['x'] }), page('c')])
  const mirror = await openPageMirror(db, wiki)
  expect(await openPageMirror(db, wiki)).toBeUndefined()
  await mirror?.keep(pageIds.slice(0, 1))
  await mirror?.keep(pageIds.slice(0, 1))
  expect(await mirror?.deleteOthers()).toBe(2)
  await mirror?.close()
  expect((await listPages(db, { wikiId: wiki, jobId: null, limit: 10 })).map((p) => p.id)).toEqual([pageIds[0]])
  const again = await openPageMirror(db, wiki)
  expect(again).toBeDefined()
  await again?.close()
})

test('a deleted page is gone with what was decided about it', async () => {
  await storePages(db, wiki, [page('a', { tags: ['x'] })])
  expect(await deletePage(db, wiki, 'a')).toBe(true)
  expect(await deletePage(db, wiki, 'a')).toBe(false)
  const { rows } = await db.pool.query('select 1 from tag_decisions where wiki_id = $1', [wiki])
  expect(rows).toEqual([])
})
