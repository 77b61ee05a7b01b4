import { events, toMessage } from '@tagloom/contracts'
import { approveTag, completeJob, ensureTags, readJob, rejectTag } from '@tagloom/database'
import fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTagger, type TaggerUnderTest } from '../testing.ts'
import { Vocabularies } from '../vocabularies.ts'
import { forgetOnChange } from './forget.ts'

/*
 * What other replicas keep of a wiki's tags while one tagger labels and the gateway decides: two with caches, one without.
 */

let tagger: TaggerUnderTest
let cached: Vocabularies[]
let uncached: Vocabularies
const apps: FastifyInstance[] = []
beforeAll(async () => {
  tagger = await openTagger()
  await tagger.start()
  const replica = async (enabled: boolean) => {
    const vocabularies = new Vocabularies(tagger.deps.db, enabled)
    const app = fastify()
    forgetOnChange(app, tagger.deps.bus, vocabularies)
    await app.ready()
    apps.push(app)
    return vocabularies
  }
  cached = [await replica(true), await replica(true)]
  uncached = await replica(false)
})
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()))
  await tagger.close()
})

const end = (jobId: string) => tagger.deps.db.transaction((tx) => completeJob(tx, jobId, {}))

async function seenBy(vocabularies: Vocabularies, wikiId: number, model: string) {
  const tags = await vocabularies.of(wikiId, model)
  return tags.map(({ label, status, embedding }) => ({ label, status, embedding }))
}

/** Every replica sees what the one without a cache reads, and keeps it. */
async function expectAllToSee(wikiId: number, model: string): Promise<void> {
  const now = await seenBy(uncached, wikiId, model)
  for (const vocabularies of cached) {
    await expect.poll(() => seenBy(vocabularies, wikiId, model), { timeout: 10_000, interval: 20 }).toEqual(now)
    const { misses } = vocabularies.counts
    await vocabularies.of(wikiId, model)
    expect(vocabularies.counts.misses).toBe(misses)
  }
}

test('tags that one tagger made and decisions of the gateway are seen by every replica, which keeps other wikis', async () => {
  const { deps } = tagger
  const [wikiId, other] = [await tagger.wiki(), await tagger.wiki()]
  const jobId = await tagger.clusteredJob(wikiId)
  const { model } = (await readJob(deps.db, jobId))! as { model: string }
  for (const vocabularies of cached) await vocabularies.of(other, model)
  await expectAllToSee(wikiId, model)

  await tagger.label(wikiId, jobId)
  const made = await seenBy(uncached, wikiId, model)
  expect(made.length).toBeGreaterThan(6)
  await expectAllToSee(wikiId, model)
  await end(jobId)

  const by = { wikiId, decidedBy: 'tester' }
  const tags = await uncached.of(wikiId, model)
  const ids = await deps.db.transaction(async (tx) => {
    await rejectTag(tx, by, tags[0]!.id)
    await approveTag(tx, by, tags[1]!.id)
    return ensureTags(tx, wikiId, ['Given by hand'], 'human')
  })
  // Nobody was told yet, so those with a cache still have what was.
  expect(ids.size).toBe(1)
  for (const vocabularies of cached) expect(await seenBy(vocabularies, wikiId, model)).toEqual(made)
  const changed = { wiki_id: wikiId, revision: 'decision.test', reason: 'rejected' }
  await deps.bus.publish(toMessage(events.vocabularyChanged, changed, { source: 'gateway' }))
  await expectAllToSee(wikiId, model)

  for (const vocabularies of cached) {
    const { misses } = vocabularies.counts
    await vocabularies.of(other, model)
    expect(vocabularies.counts.misses).toBe(misses)
  }
}, 60_000)
