import { whenDrained } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import {
  completeJob,
  createJob,
  freezeJobPages,
  readClusteringFigures,
  readJob,
  saveEmbeddings,
  startNextJob,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'
import type { ClusteringFigures } from './pages-embedded/figures.ts'

const model = 'test'
const dims = 32
let deps: TestDeps<typeof environment>
let app: FastifyInstance
beforeAll(async () => {
  deps = await openTestDeps('clusterer', environment, { INFERENCE_THREADS: '1' })
  app = await buildApp(deps)
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await deps.close()
})

/** Page k of topic k % topics: the topic's direction and a little of its own, the same whenever it is asked for. */
function vectorOf(k: number, topics: number, version = 0): Float32Array {
  const vector = new Float32Array(dims)
  for (let j = 0; j < dims; j++) {
    const topic = Math.sin(((k % topics) + 1) * 12.9898 * (j + 1)) * 43_758.5453
    const own = Math.sin((k + 1 + version * 10_000) * 78.233 * (j + 1)) * 12_543.1234
    vector[j] = topic - Math.floor(topic) - 0.5 + 0.5 * (own - Math.floor(own) - 0.5)
  }
  return vector
}

async function givePages(wikiId: number, vectors: ReadonlyMap<number, Float32Array>): Promise<void> {
  const keys = [...vectors.keys()]
  const stored = await storePages(
    deps.db,
    wikiId,
    keys.map((k) => ({ externalId: `p${k}`, title: `${k}`, text: `${k}`, goldLabel: null, tags: undefined })),
  )
  const rows = keys.map((k, i) => ({
    pageId: stored.pageIds[i]!,
    contentHash: 'h',
    tokens: 1,
    vector: vectors.get(k)!,
  }))
  await deps.db.transaction((tx) => saveEmbeddings(tx, model, dims, rows))
}

const topicPages = (from: number, to: number, topics: number, version = 0) =>
  new Map(Array.from({ length: to - from }, (_, i) => [from + i, vectorOf(from + i, topics, version)]))

async function embeddedJob(wikiId: number) {
  const job = await deps.db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    const started = (await startNextJob(tx, wikiId))!
    const pages = await freezeJobPages(tx, started.id, wikiId, model)
    return { id: started.id, pages }
  })
  const data = { wiki_id: wikiId, job_id: job.id, pages: job.pages, embedded: job.pages, model }
  return {
    jobId: job.id,
    send: (again?: string) => deps.bus.publish(toMessage(events.pagesEmbedded, data, { source: 'tagger' }, again)),
  }
}

async function clustered(wikiId: number): Promise<{ jobId: string; figures: ClusteringFigures }> {
  const { jobId, send } = await embeddedJob(wikiId)
  await send()
  await expect.poll(() => readClusteringFigures(deps.db, jobId), { timeout: 25_000 }).toBeTruthy()
  await deps.db.transaction((tx) => completeJob(tx, jobId, {}))
  return { jobId, figures: (await readClusteringFigures(deps.db, jobId)) as ClusteringFigures }
}

async function stored(jobId: string): Promise<unknown[]> {
  const { rows } = await deps.db.pool.query(
    `select c.layer, c.no, c.parent_no, c.lineage_id, c.size, m.page_id, m.strength, m.attached, m.xmin::text as written
     from clusters c join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no
     where c.job_id = $1 order by 1, 2, 6`,
    [jobId],
  )
  return rows
}

test('finds the topics of a wiki, and a second delivery changes nothing', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(wikiId, topicPages(0, 240, 6))
  const { jobId, figures } = await clustered(wikiId)
  expect(figures).toMatchObject({ clusters: 6, churn_percentage: null })
  expect(figures.silhouette_score).toBeGreaterThan(0.5)
  const before = await stored(jobId)
  expect(before.length).toBeGreaterThanOrEqual(230)
  await deps.bus.publish(
    toMessage(
      events.pagesEmbedded,
      { wiki_id: wikiId, job_id: jobId, pages: 240, embedded: 240, model },
      { source: 'gateway' },
      'again',
    ),
  )
  await whenDrained(deps.bus)
  expect(await stored(jobId)).toEqual(before)
})

test('a second run on the same pages continues every lineage with no churn', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(wikiId, topicPages(0, 240, 6))
  const first = await clustered(wikiId)
  const second = await clustered(wikiId)
  expect(second.figures).toMatchObject({
    churn_percentage: 0,
    pages_in_both_runs: 240,
    lineages: { continued: 6, born: 0, split: 0, merged: 0, died: [] },
  })
  const place = (rows: unknown[]) => rows.map((row) => ({ ...(row as object), written: undefined }))
  expect(place(await stored(second.jobId))).toEqual(place(await stored(first.jobId)))
})

test('a new topic is born, topics that are there go on', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(wikiId, topicPages(0, 200, 5))
  await clustered(wikiId)
  const seventh = Array.from({ length: 40 }, (_, i) => [1000 + i, vectorOf(6 + 7 * (i + 300), 7)] as const)
  await givePages(wikiId, new Map(seventh))
  const { figures } = await clustered(wikiId)
  expect(figures).toMatchObject({ clusters: 6, churn_percentage: 0, lineages: { continued: 5, born: 1, died: [] } })
})

test('new pages are given to topics without a run, and the centroids are read once', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(wikiId, topicPages(0, 200, 5))
  await clustered(wikiId)
  await givePages(wikiId, topicPages(200, 240, 5))
  const ask = async (pages: string[]) => {
    const answer = await app.inject({ method: 'POST', url: `/wikis/${wikiId}/assignments`, payload: { pages } })
    return answer.json() as {
      drift: number
      not_embedded: string[]
      pages: { id: string; lineage_id: string | null }[]
    }
  }
  const { pages, drift, not_embedded } = await ask([...topicPages(200, 240, 5).keys(), 'none'].map((k) => `p${k}`))
  expect(not_embedded).toEqual(['pnone'])
  expect(drift).toBeLessThan(4)
  const taken = pages.filter((page) => page.lineage_id !== null)
  expect(taken.length).toBeGreaterThan(24)
  for (const { id, lineage_id } of taken) {
    const alike = taken.filter((other) => (Number(other.id.slice(1)) - Number(id.slice(1))) % 5 === 0)
    expect(new Set(alike.map((other) => other.lineage_id))).toEqual(new Set([lineage_id]))
  }
  await ask(['p1'])
  const exposed = await deps.registry.metrics()
  expect(exposed).toMatch(/tagloom_query_cache_requests_total\{[^}]*outcome="hits"[^}]*\} [1-9]/)
  expect(
    (await app.inject({ method: 'POST', url: '/wikis/999999/assignments', payload: { pages: ['a'] } })).statusCode,
  ).toBe(404)
})

test('a page whose vector is all zeros fails the job with the number of the page', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(wikiId, new Map([...topicPages(0, 20, 2), [20, new Float32Array(dims)]]))
  const { jobId, send } = await embeddedJob(wikiId)
  await send()
  await expect.poll(async () => (await readJob(deps.db, jobId))?.status, { timeout: 25_000 }).toBe('failed')
  const job = await readJob(deps.db, jobId)
  expect(job?.errorReason).toMatch(/vector of page \d+: row 20 is all zeros/)
})

test.each([0, 1, 2, 5, 10])('a wiki of %i pages has its run', async (pages) => {
  const wikiId = await createTestWiki(deps.db)
  if (pages > 0) await givePages(wikiId, topicPages(0, pages, 2))
  const { figures } = await clustered(wikiId)
  expect(figures.clustered + figures.outliers).toBe(pages)
})
