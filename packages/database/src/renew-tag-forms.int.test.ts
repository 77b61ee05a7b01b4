import { tagForm, tagFormVersion } from '@tagloom/contracts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Database,
  ensureTags,
  listDecisions,
  migrate,
  readVocabulary,
  rejectTag,
  revokeDecision,
} from './index.ts'
import { renewTagForms } from './renew-tag-forms.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database & { readonly url: string }
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const tagsOf = async (wikiId: number) =>
  Object.fromEntries((await readVocabulary(db, wikiId, '')).map((tag) => [tag.label, tag]))
const ofVersion = (version: number) => db.pool.query('update tag_form_version set version = $1', [version])

/** A wiki of an older release, which did not know that "Buses" are "Bus": both tags, the second with forms of its own. */
async function olderWiki(): Promise<number> {
  const wikiId = await createTestWiki(db)
  await db.transaction((tx) => ensureTags(tx, wikiId, ['Bus', 'Car'], 'human'))
  await db.pool.query(
    `insert into tags (wiki_id, label, normalised, status, source) values ($1, 'Buses', 'buse', 'proposed', 'keyphrases')`,
    [wikiId],
  )
  await ofVersion(0)
  return wikiId
}

test('a start merges tags that a newer release knows to be one, and stores that as a decision', async () => {
  const wikiId = await olderWiki()
  await migrate(db.url)
  const { Bus, Buses, Car } = await tagsOf(wikiId)
  expect(Bus).toMatchObject({ form: tagForm('Bus'), status: 'approved' })
  expect(Car).toMatchObject({ form: 'car', status: 'approved' })
  expect(Buses).toMatchObject({ status: 'merged', mergedInto: Bus!.id })
  const decisions = await listDecisions(db, { wikiId, limit: 10 })
  expect(decisions).toMatchObject([{ kind: 'merged', tag: 'Buses', into: 'Bus', decidedBy: 'tagloom' }])
  const { rows } = await db.pool.query('select version from tag_form_version')
  expect(rows).toEqual([{ version: tagFormVersion }])
})

test('a second start changes nothing, and what a person takes back stays apart', async () => {
  const wikiId = await olderWiki()
  await migrate(db.url)
  const [decision] = await listDecisions(db, { wikiId, limit: 10 })
  await db.transaction((tx) => revokeDecision(tx, wikiId, decision!.id))
  await migrate(db.url)
  expect((await tagsOf(wikiId)).Buses).toMatchObject({ status: 'proposed', mergedInto: null })
})

test('a rejected tag stays rejected when what a job proposed turns out to be the same', async () => {
  const wikiId = await olderWiki()
  const { Bus } = await tagsOf(wikiId)
  await db.transaction((tx) => rejectTag(tx, { wikiId, decidedBy: 'tester' }, Bus!.id))
  await migrate(db.url)
  const { Bus: after, Buses } = await tagsOf(wikiId)
  expect(after).toMatchObject({ status: 'rejected' })
  expect(Buses).toMatchObject({ status: 'merged', mergedInto: Bus!.id })
})

test('forms that go round between tags are exchanged, and tags merged before follow', async () => {
  const wikiId = await createTestWiki(db)
  await db.transaction((tx) => ensureTags(tx, wikiId, ['one', 'two', 'ONE!'], 'human'))
  const { one, two } = await tagsOf(wikiId)
  await db.pool.query(
    `with x as (
       insert into tags (wiki_id, label, normalised, status, source, merged_into, parent_id)
       values ($1, 'x', 'x', 'merged', 'llm', $2, $2) returning id)
     insert into tag_decisions (wiki_id, tag_id, into_id, decision, decided_by) select $1, id, $2, 'merged', 'tagloom' from x`,
    [wikiId, two!.id],
  )
  await ofVersion(0)
  const swapped: Record<string, string> = { one: 'two', two: 'one' }
  expect(await renewTagForms(db, (label) => swapped[label] ?? label, 7)).toBe(0)
  expect(await tagsOf(wikiId)).toMatchObject({ one: { form: 'two' }, two: { form: 'one' } })
  expect(await renewTagForms(db, (label) => (label === 'two' ? 'one' : label), 8)).toBe(1)
  expect(await tagsOf(wikiId)).toMatchObject({
    two: { status: 'merged', mergedInto: one!.id },
    x: { status: 'merged', mergedInto: one!.id, parentId: one!.id },
  })
  await migrate(db.url)
})

test('names that marks tell apart have forms of their own after a start, where those of version 1 took marks for spaces', async () => {
  const wikiId = await createTestWiki(db)
  const ofVersion1 = {
    C: 'c',
    'C++': 'cplusplus',
    'C#': 'csharp',
    'F#': 'fsharp',
    '.NET': 'dotnet',
    'g++': 'g',
    'B+ tree': 'b tree',
  }
  await db.pool.query(
    `insert into tags (wiki_id, label, normalised, status, source)
     select $1, label, form, 'approved', 'human' from unnest($2::text[], $3::text[]) as t (label, form)`,
    [wikiId, Object.keys(ofVersion1), Object.values(ofVersion1)],
  )
  await ofVersion(1)
  await migrate(db.url)
  const tags = Object.values(await tagsOf(wikiId))
  for (const { label, form, status } of tags) expect([label, form, status]).toEqual([label, tagForm(label), 'approved'])
  const [g, tree] = await db.transaction(async (tx) => [
    ...(await ensureTags(tx, wikiId, ['G', 'B-tree'], 'human')).values(),
  ])
  for (const id of [g, tree]) expect(tags.map((tag) => tag.id)).not.toContain(id)
})
