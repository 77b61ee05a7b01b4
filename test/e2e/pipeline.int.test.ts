import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { CloudEvent, type CloudEvent as Event } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readCurrentJob, readTags } from './run-facts.ts'
import { type TopicWiki, topicWiki } from './topic-wiki.ts'

let system: TestSystem
let db: Database
let wiki: TopicWiki
beforeAll(async () => {
  wiki = topicWiki(20)
  system = await startTestSystem()
  db = openDatabase({ url: system.databaseUrl, max: 2 })
}, 120_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  wiki.remove()
})

const order = [
  'job.requested',
  'pages.embedded',
  'clusters.formed',
  'labels.proposed',
  'clusters.tagged',
  'tags.propagated',
  'job.completed',
]

async function eventsDuring(work: () => Promise<unknown>, until: (seen: Event[]) => boolean): Promise<Event[]> {
  const nats = await connect({ servers: system.natsUrl })
  const seen: Event[] = []
  const subscription = nats.subscribe(`${system.prefix}.tagloom.v1.>`)
  const reading = (async () => {
    for await (const message of subscription) seen.push(message.json())
  })()
  await work()
  await expect.poll(() => until(seen), { timeout: 30_000 }).toBe(true)
  await nats.close()
  await reading
  return seen
}

const names = (seen: readonly Event[]) => seen.map((event) => event.type.replace('io.tagloom.', '').replace('.v1', ''))

test('a plain NATS client sees a job as CloudEvents, in order, from its request to its completion', async () => {
  let jobId = ''
  const run = async () => {
    const { job } = await system.tag(wiki.path, 'seen on the bus')
    jobId = job.id
    expect(job).toMatchObject({ status: 'completed', failure: null })
  }
  const seen = await eventsDuring(run, (all) => names(all).includes('job.completed'))
  for (const event of seen) expect(Value.Check(CloudEvent, event), JSON.stringify(event)).toBe(true)
  expect(names(seen).filter((name) => order.includes(name))).toEqual(order)
  const traces = new Set(
    seen
      .filter((event) => (event.data as { job_id?: string }).job_id === jobId)
      .map((event) => event.traceparent?.slice(3, 35)),
  )
  expect(traces.size).toBe(1)
}, 120_000)

test('a plain NATS client sees an alert when a job crosses a threshold', async () => {
  const { wikiId } = await system.tag(wiki.path, 'crossing')
  const run = async () => {
    const response = await fetch(`${system.client.base}/api/wikis/${wikiId}/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.client.key}`, 'content-type': 'application/json' },
      // No tag is that sure: pages get none, fewer than the two that the default rule asks for.
      body: JSON.stringify({ confidence_threshold: 1 }),
      signal: AbortSignal.timeout(10_000),
    })
    expect(response.status).toBe(202)
  }
  const seen = await eventsDuring(run, (all) => names(all).includes('alert.raised'))
  const alert = seen.find((event) => event.type.includes('alert.raised'))
  expect(Value.Check(CloudEvent, alert)).toBe(true)
  expect(alert?.data).toMatchObject({ wiki_id: wikiId, severity: 'info', metric: 'avg_tags_per_page' })
}, 120_000)

test('a wiki of one page, which has no topic, completes without tags', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tagloom-test-wiki-'))
  const path = join(folder, 'wiki.ndjson')
  writeFileSync(path, `${JSON.stringify({ id: 'alone', title: 'Alone', text: 'A page without others.' })}\n`)
  try {
    const { job } = await system.tag(path, 'a page alone')
    expect(job).toMatchObject({ status: 'completed', failure: null })
    expect(await readTags(db, job.id)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 120_000)

test('every page of a clear topic is tagged, and topics have tags of their own', async () => {
  const { wikiId, job } = await system.tag(wiki.path, 'topics')
  expect(await readCurrentJob(db, wikiId)).toBe(job.id)
  const { rows } = await db.pool.query<{ topic: string; label: string; pages: number }>(
    `select split_part(p.external_id, '/', 1) as topic, t.label, count(*)::int as pages
     from page_tags x join pages p on p.id = x.page_id join tags t on t.id = x.tag_id where x.job_id = $1 group by 1, 2 order by 3 desc`,
    [job.id],
  )
  const best = new Map<string, string>()
  for (const row of rows) if (!best.has(row.topic)) best.set(row.topic, row.label)
  expect(best.size).toBe(6)
  expect(new Set(best.values()).size).toBeGreaterThanOrEqual(5)
}, 120_000)

test('a second run embeds nothing and gives the same tags', async () => {
  const first = await system.tag(wiki.path, 'twice')
  const second = await system.tag(wiki.path, 'twice')
  expect(second.job.id).not.toBe(first.job.id)
  const tags = await readTags(db, first.job.id)
  expect(tags.length).toBeGreaterThan(100)
  expect(await readTags(db, second.job.id)).toEqual(tags)
  const { rows } = await db.pool.query<{ embedded: number }>(
    `select coalesce(sum((data -> 'counters' ->> 'pages_embedded')::int), 0)::int as embedded from metric_samples where job_id = $1`,
    [second.job.id],
  )
  expect(rows[0]?.embedded).toBe(0)
}, 120_000)
