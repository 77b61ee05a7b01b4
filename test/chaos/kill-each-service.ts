import type { ServiceName, Stage } from '@tagloom/contracts'
import { type Database, openDatabase, readStages } from '@tagloom/database'
import { startTestSystem, type TestSystem, wikiAt } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTags } from '../e2e/run-facts.ts'
import { type TopicWiki, topicWiki } from '../e2e/topic-wiki.ts'
import { copyWithVectors } from './copy-with-vectors.ts'
import { endOfJob, isStageOver, pagesPerTopic, whenJobIsAt } from './job-watch.ts'

/*
 * Each service is killed by SIGKILL once in the middle of a job, at the stage that it works on. The job completes, once, and its
 * tags equal those of a run that nobody disturbed. Where the kill comes after embedding, the wiki has its vectors already.
 */

/** When to kill: as soon as the job has this stage */
const victims: { service: ServiceName; during: Stage }[] = [
  { service: 'tagger', during: 'embed' },
  { service: 'clusterer', during: 'cluster' },
  { service: 'tagger', during: 'label' },
  { service: 'propagator', during: 'propagate' },
  { service: 'gateway', during: 'embed' },
  { service: 'metrics-aggregator', during: 'embed' },
]

/** @param replicas how many processes of a service, one where it says nothing */
export function killEachService(replicas: Partial<Record<ServiceName, number>>): void {
  let wiki: TopicWiki
  let system: TestSystem
  let db: Database
  let calm: { wikiId: number; tags: string[] }
  beforeAll(async () => {
    wiki = topicWiki(pagesPerTopic)
    system = await startTestSystem({ replicas })
    db = openDatabase({ url: system.databaseUrl, max: 3 })
    const { wikiId, job } = await system.tag(wiki.path, 'undisturbed')
    expect(job.status).toBe('completed')
    expect((await readStages(db, job.id)).find(({ stage }) => stage === 'embed')!.total).toBeGreaterThan(1)
    calm = { wikiId, tags: await readTags(db, job.id) }
    expect(calm.tags.length).toBeGreaterThan(200)
  }, 180_000)
  afterAll(async () => {
    await db?.close()
    await system?.stop()
    wiki?.remove()
  })

  test.each(victims)(
    '$service killed during $during: the job completes with the same tags',
    async (victim) => {
      const name = `${victim.service} ${victim.during}`
      const wikiId =
        victim.during === 'embed'
          ? await system.import(await wikiAt(wiki.path, name))
          : await copyWithVectors(db, calm.wikiId, name)
      // The client of a killed gateway loses its stream: how the job ends is read from the database.
      const running = system.run(wikiId).catch(() => {})
      const jobId = await whenJobIsAt(db, name, victim.during)
      system.service(victim.service).kill()
      expect(await isStageOver(db, jobId, victim.during), 'the kill came too late').toBe(false)
      expect(await endOfJob(db, jobId)).toBe('completed')
      expect(await readTags(db, jobId)).toEqual(calm.tags)
      await running
    },
    150_000,
  )
}
