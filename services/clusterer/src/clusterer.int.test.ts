import { monitorEventLoopDelay } from 'node:perf_hooks'
import { whenDrained } from '@tagloom/bus/testing'
import { events, type JobOptions, type MetricSample, toMessage } from '@tagloom/contracts'
import {
  cancelJob,
  completeJob,
  createAssignment,
  findPageIds,
  readAssignedPages,
  readAssignment,
  readClusteringFigures,
  readJob,
  tallyAssignments,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { Registry } from '@tagloom/service-kit'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'
import type { ClusteringFigures } from './pages-embedded/figures.ts'
import { dims, embeddedJob, givePages, model, topicPages, vectorOf } from './testing.ts'

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

async function clustered(
  wikiId: number,
  options: JobOptions = {},
): Promise<{ jobId: string; figures: ClusteringFigures }> {
  const { jobId, send } = await embeddedJob(deps, wikiId, options)
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
  await givePages(deps.db, wikiId, topicPages(0, 240, 6))
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
  await givePages(deps.db, wikiId, topicPages(0, 240, 6))
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

/** Topics that run into each other: many partitions are hardly less good than the best. */
const blurredPages = (from: number, to: number) =>
  new Map(
    Array.from({ length: to - from }, (_, i) => {
      const own = vectorOf(from + i, 1_000_000, 7)
      return [from + i, vectorOf(from + i, 6).map((value, j) => value + 2.2 * own[j]!)] as const
    }),
  )

test('a run goes on from the topics before it, also over changed pages, and finds them anew where it is asked to', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, blurredPages(0, 300))
  const first = await clustered(wikiId)
  await givePages(deps.db, wikiId, blurredPages(300, 320))
  const [kept, anew] = [await clustered(wikiId), await clustered(wikiId, { keep_topics: false })]
  expect(kept.figures.criterion).toContain('the partition of the run before')
  expect(anew.figures.criterion).toContain('most persistent partition')
  const churnOf = ({ figures }: { figures: ClusteringFigures }) => figures.churn_percentage!
  expect(kept.figures.lineages).toMatchObject({ continued: first.figures.clusters, born: 0, died: [] })
  expect(churnOf(kept)).toBeGreaterThan(0)
  expect(churnOf(kept)).toBeLessThan(10)
  // Of the same pages, only because nothing held it to the run before.
  expect(churnOf(anew)).toBeGreaterThan(2 * churnOf(kept))
  const again = await clustered(wikiId)
  expect([again.figures.churn_percentage, again.figures.clusters]).toEqual([0, anew.figures.clusters])
})

test('a new topic is born, topics that are there go on', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 200, 5))
  await clustered(wikiId)
  const seventh = Array.from({ length: 40 }, (_, i) => [1000 + i, vectorOf(6 + 7 * (i + 300), 7)] as const)
  await givePages(deps.db, wikiId, new Map(seventh))
  const { figures } = await clustered(wikiId)
  expect(figures).toMatchObject({ clusters: 6, churn_percentage: 0, lineages: { continued: 5, born: 1, died: [] } })
})

test('compares with known topics, and with the clusters of other seeds where the job asks for it', async () => {
  const wikiId = await createTestWiki(deps.db)
  // Every fifth page has no known topic; topics 4 and 5 are known by one name.
  await givePages(deps.db, wikiId, topicPages(0, 240, 6), (k) => (k % 5 === 0 ? null : `topic ${Math.min(4, k % 6)}`))
  const following = new AbortController()
  const samples: MetricSample[] = []
  const reading = (async () => {
    const followed = deps.bus.follow({ subjects: [events.metricsSampled.filter], signal: following.signal })
    for await (const { envelope } of followed) samples.push(envelope.data as MetricSample)
  })()
  const { jobId, figures } = await clustered(wikiId, { seed_stability: 3 })
  expect(figures.seed_stability).toEqual({ seeds: 3, mean_ari: 1, least_ari: 1 })
  expect(figures.gold).toMatchObject({ pages: 192 })
  const sampleOf = () => samples.find((sample) => sample.job_id === jobId)
  await expect.poll(sampleOf, { timeout: 15_000 }).toBeTruthy()
  following.abort()
  await reading
  const { gauges } = sampleOf()!
  expect(gauges).toMatchObject({ seed_stability_ari: 1, seed_stability_ari_least: 1, clusters_born: 6 })
  expect(gauges.gold_purity).toBeGreaterThan(0.9)
  expect(gauges.gold_ami).toBeGreaterThan(0.8)
  expect(gauges.gold_ami).toBeLessThan(1)
  expect(gauges.gold_ari).toBeGreaterThan(0.6)
  expect(gauges.density_inside).toBeGreaterThan(0.5)
  expect(gauges.silhouette_cosine_standard_error).toBe(0)

  const plain = await clustered(wikiId)
  expect(plain.figures.seed_stability).toBeNull()
})

/** What the gateway and the tagger do before: the pages are noted, and have their vectors. */
async function assigned(wikiId: number, jobId: string, keys?: readonly number[]) {
  const ids =
    keys &&
    (await findPageIds(
      deps.db,
      wikiId,
      keys.map((k) => `p${k}`),
    ))
  const of = { wikiId, jobId, most: 2_000, ...(ids ? { pageIds: [...ids.values()] } : {}) }
  const id = await deps.db.transaction((tx) => createAssignment(tx, of))
  const message = toMessage(events.assignmentEmbedded, { wiki_id: wikiId, assignment_id: id }, { source: 'tagger' })
  await deps.bus.publish(message)
  await expect.poll(async () => (await readAssignment(deps.db, id))?.status, { timeout: 25_000 }).toBe('completed')
  return { id, pages: await readAssignedPages(deps.db, id) }
}

const cacheRequests = async (outcome: string) =>
  Number(
    new RegExp(`query_cache_requests_total\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)`).exec(
      await deps.registry.metrics(),
    )?.[1] ?? 0,
  )

test('new pages are given to topics without a run, unchanged pages are not new, and centroids are read once a run', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 200, 5))
  const { jobId } = await clustered(wikiId)
  await givePages(deps.db, wikiId, topicPages(200, 240, 5))
  const [hits, misses] = [await cacheRequests('hits'), await cacheRequests('misses')]
  const { id, pages } = await assigned(wikiId, jobId)
  expect(pages.map((page) => page.id)).toEqual([...topicPages(200, 240, 5).keys()].map((k) => `p${k}`))
  const taken = pages.filter((page) => page.outcome === 'assigned')
  expect(taken.length).toBeGreaterThan(24)
  for (const { id: page, lineageId } of taken) {
    const alike = taken.filter((other) => (Number(other.id.slice(1)) - Number(page.slice(1))) % 5 === 0)
    expect(new Set(alike.map((other) => other.lineageId))).toEqual(new Set([lineageId]))
  }
  expect((await assigned(wikiId, jobId)).pages).toEqual([])
  expect((await assigned(wikiId, jobId, [1])).pages).toMatchObject([{ id: 'p1' }])
  expect(await tallyAssignments(deps.db, jobId)).toMatchObject({ pages: 40, leftOut: 40 - taken.length })
  expect([await cacheRequests('hits'), await cacheRequests('misses')]).toEqual([hits + 1, misses + 1])

  const before = await stored(jobId)
  const again = toMessage(
    events.assignmentEmbedded,
    { wiki_id: wikiId, assignment_id: id },
    { source: 'tagger' },
    'again',
  )
  await deps.bus.publish(again)
  await whenDrained(deps.bus)
  expect(await readAssignedPages(deps.db, id)).toEqual(pages)
  expect(await stored(jobId)).toEqual(before)
})

test('pages of no topic are left out and say that a run is due, until it has run', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 200, 5))
  const first = await clustered(wikiId)
  expect(first.figures.left_out_share).toBeGreaterThan(0.02)
  expect(first.figures.left_out_share).toBeLessThan(0.3)
  // Read before the drift is there, so that what a scrape remembers is shown to go stale too.
  const exposed = async (name: string) =>
    new RegExp(`${name}\\{[^}]*wiki_id="${wikiId}"[^}]*\\} ([\\d.]+)`).exec(await deps.registry.metrics())?.[1]
  const strange = Array.from({ length: 40 }, (_, i) => [2000 + i, vectorOf(6 + 7 * (i + 300), 7)] as const)
  await givePages(deps.db, wikiId, new Map(strange))
  const { pages } = await assigned(wikiId, first.jobId)
  expect(pages.map((page) => page.outcome)).toEqual(pages.map(() => 'left_out'))
  await expect.poll(() => exposed('tagloom_rerun_due'), { timeout: 15_000 }).toBe('1')
  expect(Number(await exposed('tagloom_assignment_drift'))).toBeGreaterThan(3)

  // Two replicas: each has a cache of its own, and both go by the run that the assignment names.
  const second = await clustered(wikiId)
  const replica = await buildApp({ ...deps, registry: new Registry() })
  await replica.ready()
  try {
    await givePages(deps.db, wikiId, new Map([[2050, vectorOf(6 + 7 * 400, 7)]]))
    for (let i = 0; i < 4; i++) {
      const { pages: now } = await assigned(wikiId, second.jobId, [2050])
      expect(now).toMatchObject([{ id: 'p2050', outcome: 'assigned' }])
      expect(now[0]?.lineageId).toMatch(/^[0-9a-f]{16}$/)
    }
  } finally {
    await replica.close()
  }
  await expect.poll(() => exposed('tagloom_rerun_due'), { timeout: 15_000 }).toBe('0')
})

const broken: Record<string, Float32Array> = {
  'is all zeros': new Float32Array(dims),
  'holds a value that is no finite number': vectorOf(1, 2).fill(Number.NaN, 3, 4),
}
test.each(Object.entries(broken))(
  'a page whose vector %s fails the job by the id of the page',
  async (what, vector) => {
    const wikiId = await createTestWiki(deps.db)
    await givePages(deps.db, wikiId, new Map([...topicPages(0, 20, 2), [20, vector]]))
    const { jobId, send } = await embeddedJob(deps, wikiId)
    await send()
    await expect.poll(async () => (await readJob(deps.db, jobId))?.status, { timeout: 25_000 }).toBe('failed')
    const job = await readJob(deps.db, jobId)
    expect(job?.errorReason).toContain(`the vector of page "p20" ${what}: `)
  },
)

test.each([0, 1, 2, 5, 10])('a wiki of %i pages has its run', async (pages) => {
  const wikiId = await createTestWiki(deps.db)
  if (pages > 0) await givePages(deps.db, wikiId, topicPages(0, pages, 2))
  const { figures } = await clustered(wikiId)
  expect(figures.clustered + figures.outliers).toBe(pages)
})

/** Some seconds of clustering: the same pages with ten more seeds. */
const longJob: JobOptions = { seed_stability: 10 }

test('a cancelled job gives its processor back within a second, and leaves nothing', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 3_000, 40))
  const { jobId, send } = await embeddedJob(deps, wikiId, longJob)
  const linesOf = (text: string) =>
    deps.log.lines.filter((line) => line.job_id === jobId && String(line.msg).includes(text))
  await send()
  await expect
    .poll(() => deps.log.of('clustering_started').some((line) => line.job_id === jobId), { timeout: 15_000 })
    .toBe(true)
  await deps.db.transaction((tx) => cancelJob(tx, jobId))
  const began = performance.now()
  const data = { wiki_id: wikiId, job_id: jobId, reason: 'by a test' }
  await deps.bus.publish(toMessage(events.jobCancelled, data, { source: 'gateway' }))
  await expect.poll(() => linesOf('dropped the work').length, { timeout: 15_000, interval: 5 }).toBe(1)
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await readClusteringFigures(deps.db, jobId)).toBeUndefined()
  expect(deps.log.of('clustering_completed').some((line) => line.job_id === jobId)).toBe(false)
}, 60_000)

test('a long job tells its progress with the time left, and keeps the event loop free all along', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 3_000, 40))
  await clustered(wikiId)
  const seen: { job_id: string; stage: string; done: number; total: number; seconds_left?: number }[] = []
  const following = new AbortController()
  const reading = (async () => {
    const followed = deps.bus.follow({ subjects: [events.jobProgressed.filter], signal: following.signal })
    for await (const { envelope } of followed) seen.push(envelope.data as (typeof seen)[number])
  })()
  const standstills: number[] = []
  let jobId = ''
  // A busy machine stops a process for longer than that now and then; what blocks by itself does so every time.
  for (let tries = 0; tries < 3 && !standstills.some((ms) => ms < 100); tries++) {
    const loop = monitorEventLoopDelay({ resolution: 10 })
    loop.enable()
    ;({ jobId } = await clustered(wikiId, longJob))
    loop.disable()
    standstills.push(loop.max / 1e6 - 10)
  }
  following.abort()
  await reading
  expect(Math.min(...standstills)).toBeLessThan(100)
  const told = seen.filter((one) => one.job_id === jobId && one.seconds_left !== undefined)
  expect(told.length).toBeGreaterThanOrEqual(1)
  expect(told.map((one) => one.done)).toEqual(told.map((one) => one.done).toSorted((a, b) => a - b))
  for (const { done, total } of told) expect(done).toBeLessThan(total)
}, 120_000)
