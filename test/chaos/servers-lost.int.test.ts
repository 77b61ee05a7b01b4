import { migrate, openDatabase } from '@tagloom/database'
import { startTestSystem } from '@tagloom/launcher/testing'
import { startPrivateNats, startPrivatePostgres } from '@tagloom/local-servers/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readTags } from '../e2e/run-facts.ts'
import { type TopicWiki, topicWiki } from '../e2e/topic-wiki.ts'
import { endOfJob, whenJobIsAt } from './job-watch.ts'

let wiki: TopicWiki
beforeAll(() => {
  wiki = topicWiki(40, 12)
})
afterAll(() => wiki.remove())

test('a job outlives the loss of everything that JetStream stored', async () => {
  const nats = await startPrivateNats()
  const system = await startTestSystem({ env: { NATS_URL: nats.url } })
  const db = openDatabase({ url: system.databaseUrl, max: 3 })
  try {
    const calm = await system.tag(wiki.path, 'calm')
    const tagging = system.tag(wiki.path, 'wiped').catch(() => {})
    const jobId = await whenJobIsAt(db, 'wiped', 'embed')
    await nats.wipe()
    await nats.start()
    expect(await endOfJob(db, jobId, 120_000)).toBe('completed')
    expect(await readTags(db, jobId)).toEqual(await readTags(db, calm.job.id))
    await tagging
  } finally {
    await db.close()
    await system.stop()
    await nats.stop()
  }
}, 300_000)

test('a job outlives a restart of PostgreSQL', async () => {
  const postgres = await startPrivatePostgres()
  await migrate(postgres.url)
  const system = await startTestSystem({ env: { DATABASE_URL: postgres.url } })
  const db = openDatabase({ url: postgres.url, max: 3 })
  try {
    const calm = await system.tag(wiki.path, 'calm')
    const tagging = system.tag(wiki.path, 'restarted').catch(() => {})
    const jobId = await whenJobIsAt(db, 'restarted', 'embed')
    await postgres.restart()
    expect(await endOfJob(db, jobId, 120_000)).toBe('completed')
    expect(await readTags(db, jobId)).toEqual(await readTags(db, calm.job.id))
    await tagging
  } finally {
    await db.close()
    await system.stop()
    await postgres.stop()
  }
}, 300_000)
