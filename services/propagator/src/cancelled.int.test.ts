import { whenDrained } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import {
  cancelJob,
  lockPage,
  readJob,
  readOpenBatches,
  readStages,
  readWiki,
  rejectPageTag,
  requeueJob,
  startNextJob,
} from '@tagloom/database'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openPropagators, type Prepared, type PropagatorsUnderTest } from './testing.ts'

let propagators: PropagatorsUnderTest
let { deps, prepare, whenCompleted, completed, samplesOf, tagsOf } = {} as PropagatorsUnderTest
beforeAll(async () => {
  propagators = await openPropagators()
  ;({ deps, prepare, whenCompleted, completed, samplesOf, tagsOf } = propagators)
  for (const caching of [true, true]) await propagators.start(caching)
})
afterAll(() => propagators.close())

async function cancel({ wikiId, jobId }: Prepared): Promise<void> {
  await deps.db.transaction((tx) => cancelJob(tx, jobId))
  const data = { wiki_id: wikiId, job_id: jobId, reason: 'a test' }
  await deps.bus.publish(toMessage(events.jobCancelled, data, { source: 'gateway' }))
}

/** Cancels the job when so many of its batches are written, before the next one is. */
function cancelAfter(run: Prepared, written: number): Disposable {
  const commit = deps.relay.commit.bind(deps.relay)
  let before: Promise<unknown> = Promise.resolve()
  let batches = 0
  const spy = vi.spyOn(deps.relay, 'commit').mockImplementation(async (work) => {
    if (!(await readStages(deps.db, run.jobId)).some(({ stage }) => stage === 'propagate')) return commit(work)
    const told = before.then(() => (batches++ === written ? cancel(run) : undefined))
    const done = told.then(() => commit(work))
    before = done.catch(() => {})
    return done
  })
  return { [Symbol.dispose]: () => spy.mockRestore() }
}

test('a job that is cancelled amid its batches writes no more, and retried it gives and counts everything once', async () => {
  const run = await prepare()
  const by = { wikiId: run.wikiId, decidedBy: 'tester' }
  await deps.db.transaction(async (tx) => {
    await rejectPageTag(tx, by, run.pageIds[0]!, run.tagIds[0]!)
    await lockPage(tx, by, null, run.pageIds[49]!)
  })
  const message = { wiki_id: run.wikiId, job_id: run.jobId }
  {
    using _ = cancelAfter(run, 4)
    const formed = toMessage(events.clustersTagged, { ...message, clusters: 2, tags: 2 }, { source: 'tagger' })
    await deps.bus.publish(formed)
    await vi.waitFor(async () => expect((await readJob(deps.db, run.jobId))?.status).toBe('cancelled'), 20_000)
    await whenDrained(deps.bus)
  }
  const open = await readOpenBatches(deps.db, run.jobId, 'propagate')
  expect(open).toHaveLength(5)
  const batchOf = (page: number) => Math.floor(run.pageIds.indexOf(page) / 7)
  const before = await tagsOf(run.jobId)
  expect(before.filter(({ page }) => open.includes(batchOf(page)))).toEqual([])
  expect(completed(run.jobId)).toBeUndefined()
  expect((await readWiki(deps.db, run.wikiId))?.currentJobId).toBeNull()
  expect(samplesOf(run.jobId).map(({ batch }) => batch)).toHaveLength(1 + 4)

  await deps.db.transaction(async (tx) => {
    await requeueJob(tx, run.jobId)
    await startNextJob(tx, run.wikiId)
  })
  // As the gateway: what is still to do, the first of it twice.
  for (const batch of open)
    await deps.bus.publish(toMessage(events.propagateBatch, { ...message, batch }, { source: 'gateway' }, 'retry'))
  await deps.bus.publish(
    toMessage(events.propagateBatch, { ...message, batch: open[0]! }, { source: 'gateway' }, 'again'),
  )
  await whenCompleted(run.jobId)
  const after = await tagsOf(run.jobId)
  expect(after).toHaveLength(48)
  expect(after.filter(({ page }) => !open.includes(batchOf(page)))).toEqual(before)
  const sum = (name: string) => samplesOf(run.jobId).reduce((all, { counters }) => all + (counters[name] ?? 0), 0)
  expect(samplesOf(run.jobId)).toHaveLength(1 + 9)
  expect([sum('propagation_conflicts'), sum('tags_applied'), sum('pages_processed')]).toEqual([2, 48, 60])
})
