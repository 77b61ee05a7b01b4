import { events, toMessage } from '@tagloom/contracts'
import {
  addPageTag,
  listPages,
  listTags,
  lockPage,
  mergeTag,
  readStages,
  rejectPageTag,
  rejectTag,
  type Transaction,
} from '@tagloom/database'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openPropagators, type Prepared, type PropagatorsUnderTest } from './testing.ts'

/*
 * Two replicas with caches and one without; a person decides at each moment of a job's propagation. All seven pages of a job are one
 * batch, in cluster 0, and get the tag alpha; of a job of 21 pages they are three.
 */
let propagators: PropagatorsUnderTest
let { deps, prepare, propagate, samplesOf, tagsOf } = {} as PropagatorsUnderTest
beforeAll(async () => {
  propagators = await openPropagators()
  ;({ deps, prepare, propagate, samplesOf, tagsOf } = propagators)
  for (const caching of [true, true, false]) await propagators.start(caching)
})
afterAll(() => propagators.close())

const by = ({ wikiId }: Prepared) => ({ wikiId, decidedBy: 'tester' })
type Decide = (tx: Transaction, run: Prepared) => Promise<unknown>

const decisions: Record<string, Decide> = {
  'a tag is rejected on a page': (tx, run) => rejectPageTag(tx, by(run), run.pageIds[0]!, run.tagIds[0]!),
  'a page is locked': (tx, run) => lockPage(tx, by(run), null, run.pageIds[0]!),
  'a tag is rejected': (tx, run) => rejectTag(tx, by(run), run.tagIds[0]!),
  'a tag goes into one that is rejected then': async (tx, run) => {
    await mergeTag(tx, by(run), run.tagIds[0]!, run.tagIds[1]!)
    await rejectTag(tx, by(run), run.tagIds[1]!)
  },
}

/** As the gateway: what is decided is committed, then told. */
async function decide(run: Prepared, decision: Decide): Promise<void> {
  await deps.db.transaction((tx) => decision(tx, run))
  const changed = { wiki_id: run.wikiId, revision: `decision.${run.jobId}`, reason: 'test' }
  await deps.bus.publish(toMessage(events.vocabularyChanged, changed, { source: 'gateway' }))
}

/** Runs `then` when the nth batch is scored and not yet written, the ones before it are written, and the others wait. */
function beforeWriting(run: Prepared, nth: number, then: () => Promise<void>): Disposable {
  const commit = deps.relay.commit.bind(deps.relay)
  let before: Promise<unknown> = Promise.resolve()
  let batches = 0
  const spy = vi.spyOn(deps.relay, 'commit').mockImplementation(async (work) => {
    if (!(await isPlanned(run.jobId))) return commit(work)
    const decided = before.then(() => (++batches === nth ? then() : undefined))
    const written = decided.then(() => commit(work))
    before = written
    return written
  })
  return { [Symbol.dispose]: () => spy.mockRestore() }
}

async function isPlanned(jobId: string): Promise<boolean> {
  return (await readStages(deps.db, jobId)).some(({ stage }) => stage === 'propagate')
}

/** What the wiki shows of the first page, and of how many pages its tag is said. */
async function shown(run: Prepared): Promise<{ first: string[]; pagesWithTag: number; counted: number }> {
  const of = { wikiId: run.wikiId, jobId: run.jobId, limit: 100 }
  const pages = await listPages(deps.db, of)
  const tags = await listTags(deps.db, of)
  return {
    first: pages[0]!.tags.map(({ label }) => label),
    pagesWithTag: (await listPages(deps.db, { ...of, tag: 'alpha' })).length,
    counted: tags.find(({ label }) => label === 'alpha')?.pageCount ?? 0,
  }
}

const conflictsOf = (run: Prepared): number =>
  samplesOf(run.jobId).reduce((sum, { counters }) => sum + (counters.propagation_conflicts ?? 0), 0)

describe.each(Object.entries(decisions))('where %s', (_, decision) => {
  test('beforehand, it is withheld and counted once for each page', async () => {
    const run = await prepare({}, 7)
    await decide(run, decision)
    await propagate(run)
    const { first, pagesWithTag, counted } = await shown(run)
    const left = (await tagsOf(run.jobId)).length
    expect(first).toEqual([])
    expect([pagesWithTag, counted, conflictsOf(run)]).toEqual([left, left, 7 - left])
  })

  test('after the batch was scored and before it is written, the wiki does not show it', async () => {
    const run = await prepare({}, 7)
    using _ = beforeWriting(run, 1, () => decide(run, decision))
    await propagate(run)
    expect(await tagsOf(run.jobId)).toHaveLength(7)
    const { first, pagesWithTag, counted } = await shown(run)
    expect(first).toEqual([])
    expect(counted).toBe(pagesWithTag)
  })

  test('while other batches are done already, the wiki does not show it', async () => {
    const run = await prepare({}, 21)
    using _ = beforeWriting(run, 2, () => decide(run, decision))
    await propagate(run)
    const { first, pagesWithTag, counted } = await shown(run)
    expect(first).toEqual([])
    expect(counted).toBe(pagesWithTag)
  })
})

test('a tag that a person gave a page is no conflict with the same tag of the job, and is shown as hers', async () => {
  const run = await prepare({}, 7)
  await decide(run, (tx) => addPageTag(tx, by(run), run.pageIds[0]!, 'alpha'))
  await propagate(run)
  expect([conflictsOf(run), (await tagsOf(run.jobId)).length]).toEqual([0, 7])
  const [page] = await listPages(deps.db, { wikiId: run.wikiId, jobId: run.jobId, limit: 1 })
  expect(page!.tags).toMatchObject([{ label: 'alpha', origin: 'person', decidedBy: 'tester', confidence: null }])
})
