import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  createJob,
  createTags,
  type Database,
  ensureTags,
  holdVocabulary,
  mergeTag,
  startNextJob,
  storePages,
  type TagToCreate,
} from './index.ts'
import { createTestWiki, openTestDatabase, whenWaitingForLocks } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const page = (id: string, tags: string[]) => ({ externalId: id, title: id, text: id, goldLabel: null, tags })
const proposed = (label: string): TagToCreate => ({
  label,
  form: label,
  status: 'proposed',
  mergedInto: null,
  source: 'keyphrases',
  embedding: new Float32Array(4),
})

async function wikiWithJob(): Promise<{ wikiId: number; jobId: string; model: string }> {
  const wikiId = await createTestWiki(db)
  const jobId = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!.id
  })
  return { wikiId, jobId, model: 'm' }
}

test('an import waits for labels that are being matched, and neither fails', async () => {
  const of = await wikiWithJob()
  await db.transaction((tx) => createTags(tx, of, [proposed('zebra')]))
  let importing: Promise<unknown> = Promise.resolve()
  await db.transaction(async (tx) => {
    await holdVocabulary(tx, of.wikiId, [])
    // The import makes "aardvark" and approves "zebra", in this order; the job makes "aardvark" too.
    importing = storePages(db, of.wikiId, [page('p', ['aardvark', 'zebra'])])
    await whenWaitingForLocks(db, 1)
    await createTags(tx, of, [proposed('aardvark')])
  })
  await importing
  const { rows } = await db.pool.query(`select label, status from tags where wiki_id = $1 order by label`, [of.wikiId])
  expect(rows).toEqual([
    { label: 'aardvark', status: 'approved' },
    { label: 'zebra', status: 'approved' },
  ])
})

test('decisions, imports and jobs on the same tags at once all come through', async () => {
  const of = await wikiWithJob()
  const labels = Array.from({ length: 30 }, (_, k) => `tag ${String(k).padStart(2, '0')}`)
  const ids = [...(await db.transaction((tx) => ensureTags(tx, of.wikiId, labels, 'human'))).values()]
  const by = { wikiId: of.wikiId, decidedBy: 'tester' }
  const work = Array.from({ length: 24 }, (_, k) => {
    if (k % 3 === 0) return storePages(db, of.wikiId, [page(`p${k}`, [...labels.slice(k % 7), `new ${k % 5}`])])
    if (k % 3 === 1) return db.transaction((tx) => mergeTag(tx, by, ids[(k * 7) % 30]!, ids[(k * 11 + 1) % 30]!))
    return db.transaction(async (tx) => {
      await holdVocabulary(tx, of.wikiId, [])
      return createTags(tx, of, [proposed(`new ${k % 5}`), proposed(labels[k]!)])
    })
  })
  const failed = (await Promise.allSettled(work)).filter(({ status }) => status === 'rejected')
  expect(failed).toEqual([])
})
