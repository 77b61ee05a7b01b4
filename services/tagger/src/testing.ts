import { type CloudEvent, events, everySubject, type JobOptions, toMessage } from '@tagloom/contracts'
import {
  type ClusterToStore,
  createJob,
  type MemberToStore,
  readJobVectors,
  startNextJob,
  storeClustering,
  storePages,
} from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { Registry } from '@tagloom/service-kit'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { environment } from './config.ts'

/** Four topics of twelve pages each, every page different, written so that each topic has words of its own. */
const topics = [
  ['sailing', ['sailing boat', 'mast and rigging', 'spinnaker', 'harbour', 'regatta', 'keel']],
  ['bread baking', ['sourdough starter', 'bread oven', 'wheat flour', 'yeast', 'baguette', 'kneading']],
  ['astronomy', ['telescope mirror', 'galaxy', 'red dwarf star', 'nebula', 'planet orbit', 'eclipse']],
  ['tax law', ['income tax return', 'tax authority', 'deduction', 'value added tax', 'audit', 'capital gains']],
] as const
const PAGES_A_TOPIC = 12

const pageOf = (topic: number, k: number) => {
  const [name, words] = topics[topic]!
  const [a, b, c] = [words[k % 6]!, words[(k + 1) % 6]!, words[(k + 3) % 6]!]
  const text = `Notes on ${name}. Here is ${a}, then ${b}; also ${c} for beginners in ${name}.`
  return { externalId: `p${topic}-${k}`, title: `${a} in ${name}`, text, goldLabel: name, tags: undefined }
}

export interface TaggerUnderTest {
  readonly deps: TestDeps<typeof environment>
  readonly seen: CloudEvent[]
  start(variables?: Partial<TestDeps<typeof environment>['config']>, registry?: Registry): Promise<FastifyInstance>
  /** A wiki of 48 pages in four topics */
  wiki(): Promise<number>
  /** A running job of the wiki whose pages are embedded and clustered by topic, in two layers */
  clusteredJob(wikiId: number, options?: JobOptions): Promise<string>
  /** Sends clusters.formed and waits for clusters.tagged */
  label(wikiId: number, jobId: string): Promise<void>
  when(type: string, jobId: string): Promise<CloudEvent>
  tagsOf(jobId: string): Promise<Record<string, string[]>>
  close(): Promise<void>
}

/** A tagger with servers of the test file's own, and jobs that stand where labelling begins. */
export async function openTagger(variables: Record<string, string> = {}): Promise<TaggerUnderTest> {
  const deps = await openTestDeps('tagger', environment, { INFERENCE_THREADS: '1', ...variables })
  const seen: CloudEvent[] = []
  const stopping = new AbortController()
  const following = deps.bus.follow({ subjects: [everySubject], signal: stopping.signal })
  void (async () => {
    for await (const { envelope } of following) seen.push(envelope)
  })()
  const apps: FastifyInstance[] = []
  const when = (type: string, jobId: string) => whenSeen(seen, type, jobId)
  return {
    deps,
    seen,
    when,
    async start(config = {}, registry = new Registry()) {
      const app = await buildApp({ ...deps, config: { ...deps.config, ...config }, registry })
      await app.ready()
      apps.push(app)
      return app
    },
    async wiki() {
      const wikiId = await createTestWiki(deps.db)
      const pages = topics.flatMap((_, topic) => Array.from({ length: PAGES_A_TOPIC }, (_, k) => pageOf(topic, k)))
      await storePages(deps.db, wikiId, pages)
      return wikiId
    },
    async clusteredJob(wikiId, options = {}) {
      const job = await deps.db.transaction(async (tx) => {
        await createJob(tx, { wikiId, options })
        return (await startNextJob(tx, wikiId))!
      })
      await deps.bus.publish(
        toMessage(events.jobRequested, { wiki_id: wikiId, job_id: job.id, options: {} }, { source: 'gateway' }),
      )
      const { model } = (await when(events.pagesEmbedded.type, job.id)).data as { model: string }
      await storeByTopic(deps, job.id, model)
      return job.id
    },
    async label(wikiId, jobId) {
      const data = { wiki_id: wikiId, job_id: jobId, clusters: 6, layers: 2, outliers: 0 }
      await deps.bus.publish(toMessage(events.clustersFormed, data, { source: 'clusterer' }))
      await when(events.clustersTagged.type, jobId)
    },
    tagsOf: (jobId) => tagsOf(deps, jobId),
    async close() {
      await Promise.all(apps.map((app) => app.close()))
      stopping.abort()
      await deps.close()
    },
  }
}

async function whenSeen(seen: readonly CloudEvent[], type: string, jobId: string): Promise<CloudEvent> {
  const end = Date.now() + 30_000
  for (;;) {
    const found = seen.find((event) => event.type === type && (event.data as { job_id?: string }).job_id === jobId)
    if (found) return found
    if (Date.now() > end) throw new Error(`no ${type} of job ${jobId} within 30 s`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function tagsOf(deps: TestDeps<typeof environment>, jobId: string): Promise<Record<string, string[]>> {
  const { rows } = await deps.db.pool.query<{ no: number; label: string }>(
    `select c.cluster_no as no, t.label from cluster_tags c join tags t on t.id = c.tag_id
     where c.job_id = $1 order by c.cluster_no, c.rank`,
    [jobId],
  )
  const byCluster = [...Map.groupBy(rows, ({ no }) => no)]
  return Object.fromEntries(byCluster.map(([no, of]) => [no, of.map(({ label }) => label)]))
}

/** Clusters 0 to 3 are the topics; 4 (sailing, baking) and 5 (astronomy, tax) lie above them. */
async function storeByTopic(deps: TestDeps<typeof environment>, jobId: string, model: string): Promise<void> {
  const { pageIds, vectors, dims } = await readJobVectors(deps.db, jobId, model)
  const members: MemberToStore[] = []
  const sums = Array.from({ length: 6 }, () => new Float32Array(dims))
  pageIds.forEach((pageId, row) => {
    const topic = Math.floor(row / PAGES_A_TOPIC)
    for (const [layer, no] of [
      [0, topic],
      [1, 4 + Math.floor(topic / 2)],
    ] as const) {
      members.push({ layer, pageId, clusterNo: no, strength: 0.9, attached: false })
      for (let d = 0; d < dims; d++) sums[no]![d]! += vectors[row * dims + d]!
    }
  })
  const clusters = sums.map((sum, no): ClusterToStore => {
    const length = Math.hypot(...sum)
    const layer = no < 4 ? 0 : 1
    return {
      no,
      layer,
      parentNo: layer === 0 ? 4 + Math.floor(no / 2) : null,
      chosen: layer === 0,
      size: layer === 0 ? PAGES_A_TOPIC : 2 * PAGES_A_TOPIC,
      strength: 0.9,
      centroid: sum.map((value) => value / length),
      joinThreshold: 0.5,
      lineageId: `${jobId}-${no}`,
      lineageEvent: 'born',
      lineageFrom: [],
    }
  })
  await deps.db.transaction((tx) =>
    storeClustering(tx, jobId, { clusters, members, found: { pageIds: new Float64Array(), layers: [] }, figures: {} }),
  )
}
