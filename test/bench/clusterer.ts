/**
 * The clusterer as a service, on made-up vectors that are in PostgreSQL: what a job takes of time, memory and the event loop.
 *
 *   npm run bench -- clusterer [--pages 50000] [--dims 384] [--jobs 3] [--cancels 4] [--idle 10]
 *
 * JSON lines: one for each job (seconds from its message to the stored clusters, memory when nothing was asked of it for --idle seconds),
 * and at the end
 *   rss_before_mb, rss_after_mb   resident memory of the process before the first job and after the last, and its peak
 *   blocked_ms, cpu_ms            every standstill of the event loop above 100 ms that the service logged, the start left out, and the
 *                                 processor time of its thread in the second of each: where that is less, the machine stood still
 *   cancel_ms                     from the message job.cancelled to the end of the work's thread, at moments spread over a job;
 *                                 rss_after_cancels_mb is the memory then
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Bus, connectBus } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  cancelJob,
  completeJob,
  createJob,
  type Database,
  freezeJobPages,
  migrate,
  openDatabase,
  readClusteringFigures,
  saveEmbeddings,
  startNextJob,
  storePages,
} from '@tagloom/database'
import { ownServers } from './ground/own-servers.ts'
import { type ServiceProcess, startService } from './ground/service-process.ts'

const options = {
  pages: { type: 'string', default: '50000' },
  dims: { type: 'string', default: '384' },
  jobs: { type: 'string', default: '3' },
  cancels: { type: 'string', default: '4' },
  idle: { type: 'string', default: '10' },
} as const

const model = 'made up'
const jobWithinMs = 280_000
const say = (figures: Record<string, unknown>) => console.log(JSON.stringify({ bench: 'clusterer', ...figures }))

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const [pages, dims] = [Number(values.pages), Number(values.dims)]
  const servers = await ownServers()
  const db = openDatabase({ url: servers.databaseUrl })
  try {
    await migrate(servers.databaseUrl)
    const wikiId = await fill(db, pages, dims)
    const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
    const clusterer = await startService('clusterer', servers)
    try {
      const times = { jobs: Number(values.jobs), cancels: Number(values.cancels), idleMs: 1000 * Number(values.idle) }
      await measure({ db, bus, clusterer, wikiId, pages, dims }, times)
    } finally {
      await clusterer.stop()
      await bus.close()
    }
  } finally {
    await db.close()
    await servers.stop()
  }
}

interface Ground {
  readonly db: Database
  readonly bus: Bus
  readonly clusterer: ServiceProcess
  readonly wikiId: number
  readonly pages: number
  readonly dims: number
}

async function measure(
  ground: Ground,
  { jobs, cancels, idleMs }: { jobs: number; cancels: number; idleMs: number },
): Promise<void> {
  const { clusterer, pages, dims } = ground
  const blockedAtStart = clusterer.of('event_loop_blocked').length
  const before = clusterer.memoryMb('VmRSS')
  let seconds = 0
  for (let job = 1; job <= jobs; job++) {
    seconds = await wholeJob(ground)
    await delay(idleMs)
    say({ job, seconds, rss_mb: clusterer.memoryMb('VmRSS') })
  }
  const after = clusterer.memoryMb('VmRSS')
  const cancelMs: (number | null)[] = []
  for (let i = 0; i < cancels; i++) cancelMs.push(await cancelled(ground, (1000 * seconds * (i + 1)) / (cancels + 1)))
  const blocked = clusterer.of('event_loop_blocked').slice(blockedAtStart)
  say({
    pages,
    dims,
    jobs,
    rss_before_mb: before,
    rss_after_mb: after,
    rss_peak_mb: clusterer.memoryMb('VmHWM'),
    blocked_ms: blocked.map((line) => line.blocked_ms),
    cpu_ms: blocked.map((line) => line.cpu_ms),
    cancel_ms: cancelMs,
    rss_after_cancels_mb: clusterer.memoryMb('VmRSS'),
  })
}

async function startJob({ db, bus, wikiId, pages }: Ground): Promise<string> {
  const job = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    const started = (await startNextJob(tx, wikiId))!
    await freezeJobPages(tx, started.id, wikiId, model)
    return started
  })
  const data = { wiki_id: wikiId, job_id: job.id, pages, embedded: pages, model }
  await bus.publish(toMessage(events.pagesEmbedded, data, { source: 'tagger' }))
  return job.id
}

async function wholeJob(ground: Ground): Promise<number> {
  const jobId = await startJob(ground)
  const began = performance.now()
  while (!(await readClusteringFigures(ground.db, jobId))) {
    const failed = ground.clusterer.of('job_failed').find((line) => line.job_id === jobId)
    if (failed) throw new Error(`the job failed: ${failed.reason}`)
    if (performance.now() - began > jobWithinMs) throw new Error(`no clusters within ${jobWithinMs / 1000} s`)
    await delay(20)
  }
  const seconds = (performance.now() - began) / 1000
  await ground.db.transaction((tx) => completeJob(tx, jobId, {}))
  return Math.round(100 * seconds) / 100
}

/** Cancels a job when it has run for so long; null where it was quicker. */
async function cancelled(ground: Ground, afterMs: number): Promise<number | null> {
  const { db, bus, clusterer, wikiId } = ground
  const jobId = await startJob(ground)
  const ended = () =>
    clusterer.lines.some((line) => line.job_id === jobId && String(line.msg).startsWith('dropped the work'))
  await delay(afterMs)
  await db.transaction((tx) => cancelJob(tx, jobId))
  const began = performance.now()
  const data = { wiki_id: wikiId, job_id: jobId, reason: 'to see how long it takes' }
  await bus.publish(toMessage(events.jobCancelled, data, { source: 'gateway' }))
  while (!ended()) {
    if (await readClusteringFigures(db, jobId)) return null
    if (performance.now() - began > 30_000) throw new Error('a cancelled job went on for 30 s')
    await delay(5)
  }
  return Math.round(performance.now() - began)
}

const atOnce = 1_000

/** 300 clusters of uneven size in 20 groups, a tenth noise; the same at every call. */
async function fill(db: Database, pages: number, dims: number): Promise<number> {
  const { rows } = await db.pool.query<{ id: number }>("insert into wikis (name) values ('bench') returning id")
  const wikiId = rows[0]!.id
  const next = normals(7)
  const around = (centre: Float32Array, spread: number) => centre.map((value) => value + spread * next())
  const groups = Array.from({ length: 20 }, () => new Float32Array(dims).map(next))
  const centres = Array.from({ length: 300 }, (_, i) => around(groups[i % 20]!, 0.8))
  for (let first = 0; first < pages; first += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, pages - first) }, (_, i) => first + i)
    const text = (k: number) => ({ externalId: `p${k}`, title: `${k}`, text: '', goldLabel: null, tags: undefined })
    const stored = await storePages(db, wikiId, batch.map(text))
    const embeddings = batch.map((k, i) => {
      const cluster = Math.floor(300 * ((k * 0.618034) % 1) ** 1.5)
      const vector = k % 10 === 0 ? new Float32Array(dims).map(next) : around(centres[cluster]!, 1)
      return { pageId: stored.pageIds[i]!, contentHash: 'h', tokens: 1, vector }
    })
    await db.transaction((tx) => saveEmbeddings(tx, model, dims, embeddings))
  }
  await db.pool.query('analyze')
  return wikiId
}

/** Box–Muller on mulberry32. */
function normals(seed: number): () => number {
  let state = seed
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (((t ^ (t >>> 14)) >>> 0) + 1) / 4294967297
  }
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}
