import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  addPageTag,
  createJob,
  createTags,
  type Database,
  mergeTag,
  readReliability,
  rejectPageTag,
  savePageTags,
  storePages,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('reliability is of pages and tags that people used, a merged tag being the one it went into', async () => {
  const wikiId = await createTestWiki(db)
  const by = { wikiId, decidedBy: 'tester' }
  const page = (externalId: string) => ({ externalId, title: 't', text: 'x', goldLabel: null, tags: undefined })
  const { pageIds } = await storePages(db, wikiId, ['a', 'b', 'c'].map(page))
  const [a, b, c] = pageIds as [number, number, number]
  const { id: jobId } = (await db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!
  await db.transaction(async (tx) => {
    const of = (label: string) =>
      ({
        label,
        form: label,
        status: 'proposed',
        mergedInto: null,
        source: 'llm',
        embedding: new Float32Array(1),
      }) as const
    const labels = ['mail', 'letter', 'ship', 'unused']
    const made = await createTags(tx, { wikiId, jobId, model: 'm' }, labels.map(of))
    const [mail, letter, ship, unused] = made as [number, number, number, number]
    await addPageTag(tx, by, a, 'mail')
    await addPageTag(tx, by, a, 'ship')
    await addPageTag(tx, by, b, 'ship')
    await rejectPageTag(tx, by, b, mail)
    await mergeTag(tx, by, letter, mail)
    const row = (pageId: number, tagId: number, confidence: number) =>
      ({ pageId, tagId, confidence, origin: 'cluster', clusterNo: 0 }) as const
    await savePageTags(tx, jobId, 0, [
      row(a, letter, 0.95), // given as mail: a hit
      row(a, ship, 0.91), // a hit
      row(b, letter, 0.99), // not given to b: a miss
      row(b, ship, 0.55), // a hit
      row(b, unused, 0.5), // nobody used the tag
      row(c, mail, 0.3), // nobody tagged the page
    ])
  })
  const bins = await readReliability(db, wikiId, jobId)
  expect(bins.map(({ count }) => count)).toEqual([1, 3])
  expect(bins[0]!.meanConfidence).toBeCloseTo(0.55, 6)
  expect(bins[0]!.hitRate).toBe(1)
  expect(bins[1]!.meanConfidence).toBeCloseTo((0.95 + 0.91 + 0.99) / 3, 6)
  expect(bins[1]!.hitRate).toBeCloseTo(2 / 3, 12)
})
