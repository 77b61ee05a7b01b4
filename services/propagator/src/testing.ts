import { whenDrained } from '@tagloom/bus/testing'
import {
  type CloudEvent,
  events,
  everySubject,
  type JobOptions,
  type MetricSample,
  toMessage,
} from '@tagloom/contracts'
import {
  createJob,
  createTags,
  freezeJobPages,
  planStage,
  saveClusterTags,
  saveEmbeddings,
  startNextJob,
  storeClustering,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { Registry } from '@tagloom/service-kit'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { expect, vi } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'

const dims = 8
export const model = 'test-model'
const pages = 60

/** A unit vector along one axis with a little of another. */
export const vector = (axis: number, other = (axis + 1) % dims): Float32Array => {
  const v = new Float32Array(dims)
  v[axis] = 0.98
  v[other] = Math.sqrt(1 - 0.98 ** 2)
  return v
}

/** A tag that a job made. */
export const proposed = (label: string, embedding: Float32Array) =>
  ({ label, form: label, status: 'proposed', mergedInto: null, source: 'keyphrases', embedding }) as const

/** A job that stands where propagation begins. */
export interface Prepared {
  readonly wikiId: number
  readonly jobId: string
  readonly pageIds: readonly number[]
  readonly tagIds: readonly number[]
}

interface PageTagWritten {
  readonly page: number
  readonly tag: number
  readonly origin: string
  readonly confidence: number
  /** Number of the transaction */
  readonly written: string
}

export interface PropagatorsUnderTest {
  readonly deps: TestDeps<typeof environment>
  readonly seen: CloudEvent[]
  /** A replica; it ends with the others */
  start(caching: boolean, registry?: Registry): Promise<FastifyInstance>
  /** Pages 0 to 49 in clusters 0 and 1, the rest outside; page 59 without text. Tags 0 and 1 on the clusters. */
  prepare(options?: JobOptions, count?: number): Promise<Prepared>
  propagate(run: Prepared): Promise<void>
  whenCompleted(jobId: string): Promise<void>
  completed(jobId: string): CloudEvent | undefined
  samplesOf(jobId: string): MetricSample[]
  tagsOf(jobId: string): Promise<PageTagWritten[]>
  close(): Promise<void>
}

/** Replicas of the propagator with servers of the test file's own. Batches have seven pages. */
export async function openPropagators(): Promise<PropagatorsUnderTest> {
  const deps = await openTestDeps('propagator', environment, { BATCH_INSERT_SIZE: '7' })
  const apps: FastifyInstance[] = []
  const seen: CloudEvent[] = []
  const stopFollowing = new AbortController()
  const following = deps.bus.follow({ subjects: [everySubject], signal: stopFollowing.signal })
  void (async () => {
    for await (const { envelope } of following) seen.push(envelope)
  })()
  const ofJob = (jobId: string, type: string) =>
    seen.filter((event) => event.type === type && (event.data as { job_id: string }).job_id === jobId)
  const completed = (jobId: string) => ofJob(jobId, events.jobCompleted.type)[0]
  const whenCompleted = async (jobId: string) => {
    await vi.waitFor(() => expect(completed(jobId)).toBeTruthy(), { timeout: 20_000, interval: 20 })
    await whenDrained(deps.bus)
  }
  return {
    deps,
    seen,
    completed,
    whenCompleted,
    async start(caching, registry = new Registry()) {
      const app = buildApp({ ...deps, config: { ...deps.config, ENABLE_QUERY_CACHING: caching }, registry })
      await app.ready()
      apps.push(app)
      return app
    },
    prepare: (options = {}, count = pages) => prepare(deps, options, count),
    async propagate({ wikiId, jobId }) {
      const data = { wiki_id: wikiId, job_id: jobId, clusters: 2, tags: 2 }
      await deps.bus.publish(toMessage(events.clustersTagged, data, { source: 'tagger' }))
      await whenCompleted(jobId)
    },
    samplesOf: (jobId) => ofJob(jobId, events.metricsSampled.type).map(({ data }) => data as MetricSample),
    async tagsOf(jobId) {
      const { rows } = await deps.db.pool.query<PageTagWritten>(
        `select page_id::int as page, tag_id as tag, origin, confidence, xmin::text as written from page_tags
         where job_id = $1 order by 1, 2`,
        [jobId],
      )
      return rows
    },
    async close() {
      await Promise.all(apps.map((app) => app.close()))
      stopFollowing.abort()
      await deps.close()
    },
  }
}

async function prepare({ db }: Pick<TestDeps, 'db'>, options: JobOptions, count: number): Promise<Prepared> {
  const wikiId = await createTestWiki(db)
  const blank = { text: 'x', goldLabel: null, tags: undefined }
  const toStore = Array.from({ length: count }, (_, k) => ({ ...blank, externalId: `p${k}`, title: `Page ${k}` }))
  const stored = await storePages(db, wikiId, toStore)
  const pageIds = stored.pageIds.toSorted((a, b) => a - b)
  const ids = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options })
    const { id: jobId } = (await startNextJob(tx, wikiId))!
    await freezeJobPages(tx, jobId, wikiId, model)
    const embeddings = pageIds.map((pageId, k) => ({
      pageId,
      contentHash: 'h',
      tokens: 3,
      vector: k === 59 ? null : vector(k < 25 ? 0 : k < 50 ? 1 : 5),
    }))
    await saveEmbeddings(tx, model, dims, embeddings)
    const made = [proposed('alpha', vector(0)), proposed('beta', vector(1))]
    const tagIds = await createTags(tx, { wikiId, jobId, model }, made)
    await planStage(tx, jobId, 'label', [], { extraSteps: 1 })
    return { jobId, tagIds }
  })
  await cluster({ db }, { wikiId, pageIds, ...ids })
  return { wikiId, pageIds, ...ids }
}

async function cluster({ db }: Pick<TestDeps, 'db'>, { jobId, pageIds, tagIds }: Prepared): Promise<void> {
  const ofNo = (no: number) => ({
    no,
    layer: 0,
    parentNo: null,
    chosen: true,
    size: 25,
    strength: 0.9,
    centroid: vector(no),
    joinThreshold: 0.5,
    lineageId: `${jobId}-${no}`,
    lineageEvent: 'born' as const,
    lineageFrom: [],
  })
  const members = pageIds
    .slice(0, 50)
    .map((pageId, k) => ({ layer: 0, pageId, clusterNo: k < 25 ? 0 : 1, strength: 0.9, attached: false }))
  const found = { pageIds: new Float64Array(), layers: [] }
  await db.transaction(async (tx) => {
    if (pageIds.length > 0)
      await storeClustering(tx, jobId, { clusters: [ofNo(0), ofNo(1)], members, found, figures: {} })
    const method = 'keyphrases' as const
    const rows = tagIds.map((tagId, clusterNo) => ({ clusterNo, tagId, confidence: 0.9, method, rank: 0 }))
    await saveClusterTags(tx, jobId, rows)
  })
}
