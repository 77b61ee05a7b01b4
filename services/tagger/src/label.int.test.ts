import { whenDrained } from '@tagloom/bus/testing'
import { events, type MetricSample, toMessage } from '@tagloom/contracts'
import {
  approveTag,
  completeJob,
  ensureTags,
  holdVocabulary,
  listDecisions,
  listTags,
  mergeTag,
  readJob,
  readStages,
  readVocabulary,
  rejectTag,
  revokeDecision,
} from '@tagloom/database'
import { whenWaitingForLocks } from '@tagloom/database/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openTagger, type TaggerUnderTest } from './testing.ts'

let tagger: TaggerUnderTest
beforeAll(async () => {
  tagger = await openTagger()
  await tagger.start()
})
afterAll(() => tagger.close())

const end = (jobId: string) => tagger.deps.db.transaction((tx) => completeJob(tx, jobId, {}))
const by = (wikiId: number) => ({ wikiId, decidedBy: 'tester' })

async function run(wikiId: number, options = {}): Promise<{ jobId: string; tags: Record<string, string[]> }> {
  const jobId = await tagger.clusteredJob(wikiId, options)
  await tagger.label(wikiId, jobId)
  await whenDrained(tagger.deps.bus)
  const tags = await tagger.tagsOf(jobId)
  await end(jobId)
  return { jobId, tags }
}

async function approve(wikiId: number, labels: readonly string[]): Promise<Map<string, number>> {
  return tagger.deps.db.transaction((tx) => ensureTags(tx, wikiId, labels, 'human'))
}

test('names clusters by what their pages say, and says so once', async () => {
  const wikiId = await tagger.wiki()
  const { jobId, tags } = await run(wikiId)
  expect(Object.keys(tags)).toHaveLength(6)
  expect(tags['0']!.join(' ').toLowerCase()).toMatch(/sail/)
  expect(tags['1']!.join(' ').toLowerCase()).toMatch(/bread|sourdough/)
  expect(tags['3']!.join(' ').toLowerCase()).toMatch(/tax/)
  expect(tags['0']!.length).toBeLessThanOrEqual(5)
  expect(Object.values(tags).flat().join(' ')).not.toMatch(/\b(here|then|also|notes)\b/i)
  expect((await readStages(tagger.deps.db, jobId)).find(({ stage }) => stage === 'label')).toMatchObject({
    done: 2,
    total: 2,
  })
  const samples = tagger.seen.filter((event) => event.type === events.metricsSampled.type)
  const label = samples
    .map(
      (event) =>
        event.data as {
          job_id: string
          stage: string
          batch: string
          counters: Record<string, number>
          details?: Record<string, unknown>
        },
    )
    .filter(({ job_id, stage }) => job_id === jobId && stage === 'label')
  expect(label.map(({ batch }) => batch).sort()).toEqual(['0', 'plan', 'resolve'])
  const resolve = label.find(({ batch }) => batch === 'resolve')!
  expect(resolve.counters).toMatchObject({ clusters_labelled: 6, cluster_tags: Object.values(tags).flat().length })
  expect(label.find(({ batch }) => batch === 'plan')!.details!.topics).toMatchObject({
    diversity: expect.any(Number),
    npmi: expect.any(Number),
  })
  expect(tagger.deps.log.of('tags_generated').at(-1)).toMatchObject({ clusters: 6 })
})

test('gives the same tags in the next run, and makes no tag twice', async () => {
  const wikiId = await tagger.wiki()
  const first = await run(wikiId)
  const known = (await readVocabulary(tagger.deps.db, wikiId, '')).length
  const second = await run(wikiId)
  expect(second.tags).toEqual(first.tags)
  // Nobody approved them.
  expect([reuse(first.jobId), reuse(second.jobId)]).toEqual([0, 0])
  expect(await readVocabulary(tagger.deps.db, wikiId, '')).toHaveLength(known)
})

test('tells every replica that the vocabulary changed when it made tags, and not when it made none', async () => {
  const wikiId = await tagger.wiki()
  const changes = () =>
    tagger.seen.filter(
      ({ type, data }) => type === events.vocabularyChanged.type && (data as { wiki_id: number }).wiki_id === wikiId,
    )
  const first = await run(wikiId)
  expect(changes().map(({ data }) => data)).toEqual([
    { wiki_id: wikiId, revision: `labels.${first.jobId}`, reason: 'labels' },
  ])
  await run(wikiId)
  expect(changes()).toHaveLength(1)
})

test('a second delivery changes nothing', async () => {
  const wikiId = await tagger.wiki()
  const jobId = await tagger.clusteredJob(wikiId)
  await tagger.label(wikiId, jobId)
  const { rows: before } = await tagger.deps.db.pool.query('select xmin::text, * from cluster_tags where job_id = $1', [
    jobId,
  ])
  const seen = tagger.seen.length
  const job = { wiki_id: wikiId, job_id: jobId }
  const again = { source: 'test' }
  await tagger.deps.bus.publish(
    toMessage(events.clustersFormed, { ...job, clusters: 6, layers: 2, outliers: 0 }, again, 'again'),
  )
  await tagger.deps.bus.publish(toMessage(events.labelBatch, { ...job, batch: 0 }, again, 'again'))
  await tagger.deps.bus.publish(toMessage(events.labelsProposed, { ...job, clusters: 6 }, again, 'again'))
  await whenDrained(tagger.deps.bus)
  expect(
    (await tagger.deps.db.pool.query('select xmin::text, * from cluster_tags where job_id = $1', [jobId])).rows,
  ).toEqual(before)
  const types = tagger.seen.slice(seen).map(({ type }) => type)
  expect(types.filter((type) => !type.includes('clusters.formed') && !type.includes('labels.proposed'))).toEqual([])
  await end(jobId)
})

test('uses tags of the vocabulary where they fit, and only them where it is asked to', async () => {
  const wikiId = await tagger.wiki()
  const vocabulary = ['Sailing', 'Baking', 'Astronomy', 'Tax law', 'Gardening']
  await approve(wikiId, vocabulary)
  const { jobId, tags } = await run(wikiId)
  expect([tags['0'], tags['1']![0]]).toEqual([['Sailing'], 'Baking'])
  expect(Object.values(tags).flat()).not.toContain('Gardening')
  expect(reuse(jobId)).toBeGreaterThanOrEqual(0.8)
  const only = await run(wikiId, { vocabulary: 'only' })
  const others = Object.values(only.tags)
    .flat()
    .filter((label) => !vocabulary.includes(label))
  expect(others).toEqual([])
  expect(reuse(only.jobId)).toBe(1)
}, 60_000)

/** vocabulary_reuse_rate of the job's record. */
function reuse(jobId: string): number {
  const resolved = tagger.seen
    .filter(({ type }) => type === events.metricsSampled.type)
    .map(({ data }) => data as MetricSample)
    .find(({ job_id, batch }) => job_id === jobId && batch === 'resolve')
  return (resolved!.details!.vocabulary as { vocabulary_reuse_rate: number }).vocabulary_reuse_rate
}

test('never brings a rejected or merged tag back over three runs', async () => {
  const wikiId = await tagger.wiki()
  const { tags } = await run(wikiId)
  const vocabulary = await readVocabulary(tagger.deps.db, wikiId, '')
  const idOf = (label: string) => vocabulary.find((tag) => tag.label === label)!.id
  const [rejected, merged] = [tags['0']![0]!, tags['1']![0]!]
  const target = (await approve(wikiId, ['Home bakery'])).values().next().value!
  await tagger.deps.db.transaction(async (tx) => {
    await rejectTag(tx, by(wikiId), idOf(rejected))
    await mergeTag(tx, by(wikiId), idOf(merged), target)
    await approveTag(tx, by(wikiId), target)
  })
  for (let k = 0; k < 3; k++) {
    const labels = Object.values((await run(wikiId)).tags).flat()
    expect(labels).not.toContain(rejected)
    expect(labels).not.toContain(merged)
  }
}, 90_000)

test('a wiki without clusters is labelled at once', async () => {
  const wikiId = await tagger.wiki()
  const jobId = await tagger.clusteredJob(wikiId)
  await tagger.deps.db.pool.query('delete from cluster_members where job_id = $1', [jobId])
  await tagger.deps.db.pool.query('delete from clusters where job_id = $1', [jobId])
  await tagger.label(wikiId, jobId)
  expect(await tagger.tagsOf(jobId)).toEqual({})
  await end(jobId)
})

test('tags that come while the labels are matched take part, and cost no delivery', async () => {
  const wikiId = await tagger.wiki()
  const jobId = await tagger.clusteredJob(wikiId)
  const { deps } = tagger
  const retried = deps.log.of('message_retried').length
  let imported = 0
  const transaction = deps.db.transaction.bind(deps.db)
  // Another tag between each look at the vocabulary and the transaction that writes, as an import would.
  const spy = vi.spyOn(deps.db, 'transaction').mockImplementation(async (work) => {
    await transaction((tx) => ensureTags(tx, wikiId, [`Imported ${imported++}`], 'imported'))
    return transaction(work)
  })
  await tagger.label(wikiId, jobId)
  spy.mockRestore()
  await whenDrained(deps.bus)
  expect(imported).toBeGreaterThan(0)
  expect(deps.log.of('message_retried')).toHaveLength(retried)
  const vocabulary = await readVocabulary(deps.db, wikiId, (await readJob(deps.db, jobId))!.model!)
  expect(vocabulary.find(({ label }) => label === 'Imported 0')?.embedding).not.toBeNull()
  await end(jobId)
})

test('matches labels before it holds the vocabulary, again where that changed, and comes to an end', async () => {
  const { db } = tagger.deps
  const wikiId = await tagger.wiki()
  await run(wikiId)
  const proposed = (await readVocabulary(db, wikiId, '')).filter(({ status }) => status === 'proposed').slice(0, 4)
  const jobId = await tagger.clusteredJob(wikiId)
  let labelled = Promise.resolve()
  // Each change is made while the tagger waits with labels that it matched before; the next one is in line before it is told.
  const change = async (k: number): Promise<void> => {
    let next = Promise.resolve()
    await db.transaction(async (tx) => {
      await holdVocabulary(tx, wikiId, [])
      if (k === 0) labelled = tagger.label(wikiId, jobId)
      await whenWaitingForLocks(db, 1)
      await rejectTag(tx, by(wikiId), proposed[k]!.id)
      if (k + 1 < proposed.length) {
        next = change(k + 1)
        await whenWaitingForLocks(db, 2)
      }
    })
    await next
  }
  await change(0)
  await labelled
  expect(proposed).toHaveLength(4)
  const labels = Object.values(await tagger.tagsOf(jobId)).flat()
  expect(labels.length).toBeGreaterThan(0)
  expect(labels.filter((label) => proposed.some((tag) => tag.label === label))).toEqual([])
  await end(jobId)
})

test('two spellings that people gave become one tag by a decision, which a person takes back and no run makes again', async () => {
  const wikiId = await tagger.wiki()
  await approve(wikiId, ['E-mail', 'Re-sign', 'Resign'])
  await approve(wikiId, ['Email'])
  const states = async () =>
    (await readVocabulary(tagger.deps.db, wikiId, ''))
      .filter(({ label }) => /mail|sign/i.test(label))
      .map(({ label, status }) => `${label} ${status}`)
  const apart = ['E-mail approved', 'Re-sign approved', 'Resign approved', 'Email approved']
  await run(wikiId, { vocabulary: 'only' })
  expect(await states()).toEqual([...apart.slice(0, 3), 'Email merged'])
  const decisions = await listDecisions(tagger.deps.db, { wikiId, limit: 10 })
  expect(decisions).toMatchObject([{ kind: 'merged', tag: 'Email', into: 'E-mail', decidedBy: 'tagloom' }])
  await tagger.deps.db.transaction((tx) => revokeDecision(tx, wikiId, decisions[0]!.id))
  expect(await states()).toEqual(apart)
  await run(wikiId, { vocabulary: 'only' })
  expect(await states()).toEqual(apart)
})

test('a tag whose parent was rejected gets the one that stands in its place in the next run', async () => {
  const wikiId = await tagger.wiki()
  const parents = async () => {
    const tags = await listTags(tagger.deps.db, { wikiId, jobId: null, limit: 100 })
    return new Map(tags.flatMap(({ label, parent }) => (parent ? [[label, parent.label]] : [])))
  }
  const { tags } = await run(wikiId, { vocabulary: 'free' })
  const before = await parents()
  const [above] = tags['4']!
  const below = [...before.keys()].filter((label) => before.get(label) === above)
  expect(below.length).toBeGreaterThan(0)
  const { id } = (await readVocabulary(tagger.deps.db, wikiId, '')).find(({ label }) => label === above)!
  await tagger.deps.db.transaction((tx) => rejectTag(tx, by(wikiId), id))
  expect([...(await parents()).values()]).not.toContain(above)
  const { tags: next } = await run(wikiId, { vocabulary: 'free' })
  const after = await parents()
  expect(below.map((label) => after.get(label)).filter((parent) => parent === next['4']![0]).length).toBeGreaterThan(0)
  expect([...after.values()]).not.toContain(above)
})
