import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  createTags,
  type Database,
  ensureTags,
  listDecisions,
  mergeTag,
  readVocabulary,
  revokeDecision,
  type TagToCreate,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('a tag that a job merged by its meaning is a decision, which a person takes back and no run makes again', async () => {
  const wikiId = await createTestWiki(db)
  const made: TagToCreate[] = [
    { label: 'Mail', form: 'mail', status: 'proposed', mergedInto: null, source: 'keyphrases', embedding: floats },
  ]
  const create = (tags: TagToCreate[]) =>
    db.transaction((tx) => createTags(tx, { wikiId, jobId: 'job', model: 'm' }, tags))
  const [mail] = await create(made)
  const merged: TagToCreate[] = [{ ...made[0]!, label: 'Letters', form: 'letter', status: 'merged', mergedInto: mail! }]
  await create(merged)
  await create(merged)
  const decisions = await listDecisions(db, { wikiId, limit: 10 })
  expect(decisions).toMatchObject([{ kind: 'merged', tag: 'Letters', into: 'Mail', decidedBy: 'tagloom' }])
  const statusOf = async () =>
    (await readVocabulary(db, wikiId, 'm')).map(({ label, status, mergedByPerson }) => [label, status, mergedByPerson])
  expect(await statusOf()).toEqual([
    ['Mail', 'proposed', false],
    ['Letters', 'merged', false],
  ])
  await db.transaction((tx) => revokeDecision(tx, wikiId, decisions[0]!.id))
  await create(merged)
  expect(await statusOf()).toEqual([
    ['Mail', 'proposed', false],
    ['Letters', 'proposed', false],
  ])
  expect(await listDecisions(db, { wikiId, limit: 10 })).toEqual([])
})

test('tells a merge of a person from one of a job', async () => {
  const wikiId = await createTestWiki(db)
  const [a, b] = await db.transaction(async (tx) => [...(await ensureTags(tx, wikiId, ['a', 'b'], 'human')).values()])
  await db.transaction((tx) => mergeTag(tx, { wikiId, decidedBy: 'tester' }, a!, b!))
  expect(await readVocabulary(db, wikiId, 'm')).toMatchObject([{ mergedByPerson: true }, { mergedByPerson: false }])
})

const floats = Float32Array.from([1, 0])
