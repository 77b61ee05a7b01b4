import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { type Assignment, CloudEvent, type CloudEvent as Event } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
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
    // No tag is that sure: pages get none, fewer than the two that the default rule asks for.
    const { status } = await system.call('POST', `/wikis/${wikiId}/jobs`, { confidence_threshold: 1 })
    expect(status).toBe(202)
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

async function whenEnded(path: string): Promise<{ status: string }> {
  const ended = async () => {
    const { body } = await system.call('GET', path)
    return ['completed', 'failed', 'cancelled'].includes(body.status) ? body : undefined
  }
  return vi.waitUntil(ended, { timeout: 60_000, interval: 50 })
}

test('pages that come after a run get its topics and tags without another, and say when another is due', async () => {
  const { wikiId, job } = await system.tag(wiki.path, 'growing')
  const lines = readFileSync(wiki.path, 'utf8').trim().split('\n')
  const known = lines.map((line) => JSON.parse(line) as { id: string; title: string; text: string })
  // What two pages of a topic say, mixed: like the topic, and not in the run.
  const more = known
    .filter(({ id }) => /\/[0-3]$/.test(id))
    .map(({ id, title }, i, all) => ({
      id: `new ${id}`,
      title,
      text: known.find((one) => one.id === id.replace(/\d$/, '9'))!.text + all[i]!.text,
    }))
  const ndjson = (pages: object[]) => pages.map((page) => JSON.stringify(page)).join('\n')
  expect((await system.call('POST', `/wikis/${wikiId}/pages`, ndjson(more))).body).toMatchObject({ created: 24 })

  const asked = await system.call('POST', `/wikis/${wikiId}/assignments`)
  expect(asked).toMatchObject({ status: 202, body: { status: 'waiting', job_id: job.id } })
  const done = (await whenEnded(`/wikis/${wikiId}/assignments/${asked.body.id}`)) as unknown as Assignment
  expect(done).toMatchObject({ status: 'completed', failure: null, drift: { pages: 24, rerun_due: false } })
  const taken = done.pages.filter((page) => page.outcome === 'assigned')
  expect(taken.length).toBeGreaterThanOrEqual(18)
  for (const page of taken) {
    const { rows } = await db.pool.query<{ topic: string }>(
      `select distinct split_part(p.external_id, '/', 1) as topic from cluster_members m join pages p on p.id = m.page_id
       where m.job_id = $1 and m.cluster_no = $2`,
      [job.id, page.cluster_no],
    )
    expect(rows.map((row) => `new ${row.topic}`)).toContain(page.id.split('/')[0])
    expect(page.tags.length, page.id).toBeGreaterThan(0)
  }
  expect(await readCurrentJob(db, wikiId)).toBe(job.id)

  const strange = Array.from({ length: 30 }, (_, i) => ({
    id: `strange/${i}`,
    title: `Paragraph ${i} of the income tax act`,
    text: `The taxable income of year ${i} is declared to the authority; deduction ${i} and allowance ${i + 1} apply.`,
  }))
  await system.call('POST', `/wikis/${wikiId}/pages`, ndjson(strange))
  const again = await system.call('POST', `/wikis/${wikiId}/assignments`)
  await whenEnded(`/wikis/${wikiId}/assignments/${again.body.id}`)
  const { body: drift } = await system.call('GET', `/wikis/${wikiId}/drift`)
  expect(drift).toMatchObject({
    job_id: job.id,
    pages: 54,
    rerun_due: true,
    advice: expect.stringContaining('start a job'),
  })
  expect(drift.left_out).toBeGreaterThanOrEqual(28)
}, 120_000)

test('known topics of pages and other seeds are compared with the clusters in the record', async () => {
  const name = 'with known topics'
  const { id: wikiId } = await system.client.wikiNamed(name, AbortSignal.timeout(10_000))
  const labelled = readFileSync(wiki.path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string })
    .map((page) => JSON.stringify({ ...page, label: page.id.split('/')[0] }))
  await system.call('POST', `/wikis/${wikiId}/pages`, labelled.join('\n'))
  const { body: requested } = await system.call('POST', `/wikis/${wikiId}/jobs`, { seed_stability: 2 })
  expect(await whenEnded(`/jobs/${requested.id}`)).toMatchObject({ status: 'completed' })
  const { body } = await system.call('GET', `/jobs/${requested.id}/metrics`)
  const { clustering, stages } = body.record
  expect(clustering.gold_ami).toBeGreaterThan(0.7)
  expect(clustering.gold_ari).toBeGreaterThan(0.6)
  expect(clustering.gold_purity).toBeGreaterThan(0.8)
  expect(clustering.seed_stability_ari).toBe(1)
  const { gauges } = stages.cluster
  for (const name of [
    'density_inside',
    'silhouette_standard_error',
    'silhouette_cosine_standard_error',
    'left_out_share',
  ])
    expect(gauges[name], name).toEqual(expect.any(Number))
}, 120_000)
