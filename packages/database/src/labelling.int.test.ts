import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  createJob,
  createTags,
  type Database,
  ensureTags,
  listDecisions,
  mergeTag,
  readForClusters,
  readVocabulary,
  revokeDecision,
  saveForClusters,
  saveTagEmbeddings,
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

test('many tags, vectors and values of clusters are stored in pieces, all of them and in their order', async () => {
  const wikiId = await createTestWiki(db)
  const of = { wikiId, jobId: 'many', model: 'm' }
  const made = Array.from({ length: 1_201 }, (_, k): TagToCreate => {
    const label = `tag ${1_201 - k}`
    return { label, form: label, status: 'proposed', mergedInto: null, source: 'llm', embedding: Float32Array.of(k, 1) }
  })
  const ids = await db.transaction((tx) => createTags(tx, of, made))
  expect(ids).toEqual(ids.toSorted((a, b) => a - b))
  const vocabulary = await readVocabulary(db, wikiId, 'm')
  expect(vocabulary.map(({ id }) => id)).toEqual(ids)
  expect(vocabulary.map(({ label, embedding }) => [label, embedding![0]])).toEqual(
    made.map(({ label, embedding }) => [label, embedding[0]]),
  )
  const newer = ids.map((id, k) => ({ id, embedding: Float32Array.of(-k, 2) }))
  await db.transaction((tx) => saveTagEmbeddings(tx, 'newer', newer))
  expect((await readVocabulary(db, wikiId, 'newer')).map(({ embedding }) => embedding)).toEqual(
    newer.map(({ embedding }) => embedding),
  )

  const job = (await db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!
  await db.pool.query(
    `insert into clusters (job_id, no, layer, chosen, size, strength, centroid, join_threshold, lineage_id, lineage_event)
     select $1, no, 0, true, 2, 0.8, '', 0, no::text, 'born' from generate_series(0, 8) no`,
    [job.id],
  )
  const values = Array.from({ length: 9 }, (_, no) => ({ no, value: `"${no}" \\ é ${'x'.repeat(200_000)}` }))
  await db.transaction((tx) =>
    saveForClusters(
      tx,
      job.id,
      'proposals',
      values.map(({ no, value }) => ({ no, json: JSON.stringify(value) })),
    ),
  )
  expect([...(await readForClusters(db, job.id, 'proposals'))]).toEqual(values.map(({ no, value }) => [no, value]))
})
