import { migrate, openDatabase } from '@tagloom/database'
import { startTestSystem } from '@tagloom/launcher/testing'
import { startPrivateNats, startPrivatePostgres } from '@tagloom/local-servers/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTags } from '../e2e/run-facts.ts'
import { type TopicWiki, topicWiki } from '../e2e/topic-wiki.ts'
import { endOfJob, pagesPerTopic, whenJobIsAt } from './job-watch.ts'

let wiki: TopicWiki
beforeAll(() => {
  wiki = topicWiki(pagesPerTopic)
})
afterAll(() => wiki.remove())

/** A job that is disturbed when it embeds gives the tags of one that was not. @param env which servers the services use */
async function expectSurvival(env: Record<string, string>, disturb: () => Promise<void>): Promise<void> {
  const system = await startTestSystem({ env })
  const db = openDatabase({ url: system.databaseUrl, max: 3 })
  try {
    const calm = await system.tag(wiki.path, 'calm')
    const tagging = system.tag(wiki.path, 'disturbed').catch(() => {})
    const jobId = await whenJobIsAt(db, 'disturbed', 'embed')
    await disturb()
    expect(await endOfJob(db, jobId, 120_000)).toBe('completed')
    expect(await readTags(db, jobId)).toEqual(await readTags(db, calm.job.id))
    await tagging
  } finally {
    await db.close()
    await system.stop()
  }
}

test('a job outlives the loss of everything that JetStream stored', async () => {
  const nats = await startPrivateNats()
  try {
    await expectSurvival({ NATS_URL: nats.url }, async () => {
      await nats.wipe()
      await nats.start()
    })
  } finally {
    await nats.stop()
  }
}, 300_000)

test('a job outlives a restart of PostgreSQL', async () => {
  const postgres = await startPrivatePostgres()
  try {
    await migrate(postgres.url)
    await expectSurvival({ DATABASE_URL: postgres.url }, postgres.restart)
  } finally {
    await postgres.stop()
  }
}, 300_000)
