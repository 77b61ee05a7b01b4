import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  addPageTag,
  approveLabel,
  approveTag,
  createTags,
  type Database,
  findPageId,
  findTagId,
  listDecisions,
  listTags,
  MergeRefused,
  mergeTag,
  readPage,
  readPageDecisions,
  rejectPageTag,
  rejectTag,
  revokeDecision,
  storePages,
  type Transaction,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

/*
 * A wiki with the tags "given" and "other", which came with the page p, and "found", "more" and "rest", which a job proposed.
 */
let db: Database
let wikiId: number
let tag: Record<'given' | 'other' | 'found' | 'more' | 'rest', number>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
  await importPage('p', ['given', 'other'])
  const labels = ['found', 'more', 'rest']
  await decide((tx) =>
    createTags(
      tx,
      { wikiId, jobId: 'job', model: 'm' },
      labels.map((label) => ({ ...proposed, label, form: label })),
    ),
  )
  const id = async (label: string) => (await findTagId(db, wikiId, label))!
  tag = {
    given: await id('given'),
    other: await id('other'),
    found: await id('found'),
    more: await id('more'),
    rest: await id('rest'),
  }
})

const proposed = { status: 'proposed', mergedInto: null, source: 'keyphrases', embedding: new Float32Array(2) } as const
const who = () => ({ wikiId, decidedBy: 'ann' })
const decide = <Result>(work: (tx: Transaction) => Promise<Result>) => db.transaction(work)
const importPage = (externalId: string, tags: string[]) =>
  storePages(db, wikiId, [{ externalId, title: 't', text: 'x', goldLabel: null, tags }])
const pageId = async () => (await findPageId(db, wikiId, 'p'))!
const revoke = (id: number) => decide((tx) => revokeDecision(tx, wikiId, id))

const reject = (id: number) => decide((tx) => rejectTag(tx, who(), id))
const approve = (id: number) => decide((tx) => approveTag(tx, who(), id))
const merge = (id: number, into: number, by = 'ann') =>
  decide((tx) => mergeTag(tx, { wikiId, decidedBy: by }, id, into))

/** "approved", or where a merged tag went. */
async function states(): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const status of ['proposed', 'approved', 'rejected', 'merged'] as const)
    for (const { label, mergedInto } of await listTags(db, { wikiId, jobId: null, limit: 99, status }))
      found[label] = mergedInto === null ? status : `→ ${mergedInto}`
  return found
}
const before = { given: 'approved', other: 'approved', found: 'proposed', more: 'proposed', rest: 'proposed' }

test.each([
  ['rejection', reject],
  ['approval', approve],
  ['merge', (id: number) => merge(id, tag.rest)],
])('a %s that is taken back leaves each tag as it was: approved where it came with pages', async (_, decideOn) => {
  for (const label of ['given', 'found'] as const) {
    const decision = await decideOn(tag[label])
    expect(await revoke(decision)).toBe(true)
    expect(await states()).toEqual(before)
  }
})

test('of several decisions about a tag the last counts, and the one before it again when that is taken back', async () => {
  const approval = await approve(tag.found)
  const rejection = await reject(tag.found)
  expect(await states()).toMatchObject({ found: 'rejected' })
  await revoke(rejection)
  expect(await states()).toMatchObject({ found: 'approved' })
  const merged = await merge(tag.found, tag.given)
  await revoke(approval)
  expect(await states()).toMatchObject({ found: '→ given' })
  await revoke(merged)
  expect(await states()).toEqual(before)
})

test('a decision said again is one decision', async () => {
  const ids = [await reject(tag.found), await reject(tag.found)]
  expect(new Set(ids).size).toBe(1)
  await merge(tag.more, tag.given)
  await merge(tag.more, tag.other)
  await merge(tag.more, tag.other, 'bob')
  const list = (await listDecisions(db, { wikiId, limit: 10 })).filter(({ kind }) => kind !== 'added')
  expect(list.map(({ kind, into, decidedBy }) => [kind, into, decidedBy])).toEqual([
    ['rejected', null, 'ann'],
    ['merged', 'given', 'ann'],
    ['merged', 'other', 'bob'],
  ])
})

test('tags merged before follow where their target goes, and come back with it', async () => {
  await merge(tag.more, tag.found)
  const onward = await merge(tag.found, tag.given)
  expect(await states()).toMatchObject({ more: '→ given', found: '→ given' })
  await revoke(onward)
  expect(await states()).toEqual({ ...before, more: '→ found', found: 'approved' })
})

test('a tag that others were merged into is proposed again when that is taken back', async () => {
  const merged = await merge(tag.more, tag.found)
  expect(await states()).toMatchObject({ found: 'approved' })
  await revoke(merged)
  expect(await states()).toEqual(before)
})

test('what is merged into a merged tag goes where that went, and stays with it when that is taken back', async () => {
  const onward = await merge(tag.found, tag.given)
  await merge(tag.more, tag.found)
  expect(await states()).toEqual({ ...before, found: '→ given', more: '→ given' })
  await revoke(onward)
  expect(await states()).toEqual({ ...before, found: 'approved', more: '→ found' })
})

test('nothing is merged into a rejected tag, nor into one that went into a tag rejected since', async () => {
  await merge(tag.found, tag.given)
  await reject(tag.given)
  for (const into of [tag.given, tag.found])
    await expect(merge(tag.more, into)).rejects.toThrow(new MergeRefused('"given" is rejected: approve it first'))
  expect(await states()).toEqual({ ...before, given: 'rejected', found: '→ given' })
})

test('a tag is not merged into what went into it', async () => {
  await merge(tag.found, tag.given)
  const why = '"found" is merged into "given" already: take that back, or approve "found", first'
  await expect(merge(tag.given, tag.found)).rejects.toThrow(new MergeRefused(why))
  await approve(tag.found)
  await merge(tag.given, tag.found)
  expect(await states()).toEqual({ ...before, given: '→ found', found: 'approved' })
})

test('of merges to and fro at once one is refused, and of a ring one', async () => {
  const ring = [tag.given, tag.other, tag.found, tag.more]
  for (const tags of [ring.slice(0, 2), ring]) {
    const all = await Promise.allSettled(tags.map((id, at) => merge(id, tags[(at + 1) % tags.length]!)))
    const refused = all.filter((one) => one.status === 'rejected')
    expect(refused.map(({ reason }) => reason)).toEqual([expect.any(MergeRefused)])
    expect(Object.values(await states()).filter((state) => state.startsWith('→'))).toHaveLength(tags.length - 1)
    for (const one of all) if (one.status === 'fulfilled') await revoke(one.value)
    expect(await states()).toEqual(before)
  }
})

test('an approval taken back restores no merge that has become a circle', async () => {
  const there = await merge(tag.found, tag.given)
  const approval = await approve(tag.found)
  const back = await merge(tag.given, tag.found)
  await revoke(approval)
  expect(await states()).toEqual({ ...before, given: '→ found', found: 'approved' })
  await revoke(back)
  expect(await states()).toEqual({ ...before, found: '→ given' })
  await revoke(there)
  expect(await states()).toEqual(before)
})

test('a person who gives a page a rejected tag brings it back for as long as that stands', async () => {
  await reject(tag.found)
  const added = await decide(async (tx) => addPageTag(tx, who(), await pageId(), 'found'))
  expect(await states()).toMatchObject({ found: 'approved' })
  await revoke(added)
  expect(await states()).toMatchObject({ found: 'rejected' })
})

test('a label that a person gave to a page, or approved, is a proposed tag when that is taken back', async () => {
  for (const give of [
    (tx: Transaction, page: number) => addPageTag(tx, who(), page, 'mine'),
    (tx: Transaction, page: number) => addPageTag(tx, who(), page, 'found'),
    (tx: Transaction) => approveLabel(tx, who(), 'typo'),
  ]) {
    const decision = await decide(async (tx) => give(tx, await pageId()))
    expect(Object.values(await states()).filter((state) => state === 'approved')).toHaveLength(3)
    await revoke(decision)
    expect(await states()).toMatchObject(before)
  }
  expect(await states()).toEqual({ ...before, mine: 'proposed', typo: 'proposed' })
})

test('what came with a page is there again when a rejection on the page is taken back, and no import brings it before', async () => {
  const shown = async () => (await readPage(db, wikiId, null, 'p'))!.tags.map((t) => `${t.label} ${t.decidedBy}`)
  const rejection = await decide(async (tx) => rejectPageTag(tx, who(), await pageId(), tag.given))
  expect(await shown()).toEqual(['other import'])
  await importPage('p', [])
  await importPage('p', ['given', 'other'])
  expect(await shown()).toEqual(['other import'])
  await revoke(rejection)
  expect(await shown()).toEqual(['given import', 'other import'])
})

test('of decisions about a page and a tag the newest counts, and the one before it when that is taken back', async () => {
  const page = await pageId()
  const shown = async () => (await readPage(db, wikiId, null, 'p'))!.tags.map((t) => `${t.label} ${t.decidedBy}`)
  const add = (by: string) => decide((tx) => addPageTag(tx, { wikiId, decidedBy: by }, page, 'given'))
  const take = () => decide((tx) => rejectPageTag(tx, who(), page, tag.given))
  const withheld = async () => (await readPageDecisions(db, wikiId, [page])).get(page)?.rejected ?? new Set()
  const rejections = [await take(), await take()]
  expect(new Set(rejections).size).toBe(1)
  const added = await add('ann')
  expect([await shown(), await withheld()]).toEqual([['given ann', 'other import'], new Set()])
  expect(await add('bob')).toBe(added)
  expect(await shown()).toEqual(['given bob', 'other import'])
  const again = await take()
  expect([await shown(), await withheld()]).toEqual([['other import'], new Set([tag.given])])
  await revoke(again)
  expect(await shown()).toEqual(['given bob', 'other import'])
  await revoke(added)
  expect([await shown(), await withheld()]).toEqual([['other import'], new Set([tag.given])])
  await revoke(rejections[0]!)
  expect([await shown(), await withheld()]).toEqual([['given import', 'other import'], new Set()])
})

test('an import approves what a job proposed, also behind a rejection or a merge that is taken back later', async () => {
  const rejection = await reject(tag.found)
  const merged = await merge(tag.more, tag.rest)
  await importPage('q', ['found', 'more'])
  expect(await states()).toMatchObject({ found: 'rejected', more: '→ rest', rest: 'approved' })
  await revoke(rejection)
  await revoke(merged)
  expect(await states()).toEqual({ ...before, found: 'approved', more: 'approved', rest: 'approved' })
})
