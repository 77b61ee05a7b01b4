/**
 * The tagger as a service: what embedding the same pages again and again, and labelling and propagating them, take of memory and of the
 * event loop.
 *
 *   npm run bench -- tagger --pages F.ndjson [--limit N] [--passes 3] [--idle 10]
 *
 * F holds `{"id","title","text"}` lines. JSON lines: one for each pass, in which all pages are embedded (their vectors are thrown away
 * before the next), and with the clusterer and the propagator running beside it one for a whole job of pages that have vectors:
 *   rss_mb, peak_mb       resident memory of the process when nothing was asked of it for --idle seconds, and the most of this line
 *   blocked_ms, cpu_ms    every standstill of the event loop above 100 ms that the service logged, and the processor time of its thread
 *                         in the second of each: where that is less, the machine stood still
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Bus, connectBus } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import { cancelJob, createJob, type Database, migrate, openDatabase, startNextJob, storePages } from '@tagloom/database'
import type { StartedServers } from '@tagloom/local-servers'
import { countOf, readNdjson } from './ground/files.ts'
import { ownServers } from './ground/own-servers.ts'
import { type ServiceProcess, startService } from './ground/service-process.ts'

const options = {
  pages: { type: 'string' },
  limit: { type: 'string' },
  passes: { type: 'string', default: '3' },
  idle: { type: 'string', default: '10' },
} as const

const eventWithinMs = 900_000
const say = (figures: Record<string, unknown>) => console.log(JSON.stringify({ bench: 'tagger', ...figures }))

interface Page {
  readonly id: string
  readonly title: string
  readonly text: string
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.pages === undefined) throw new Error('expected --pages F.ndjson with lines {"id","title","text"}')
  const limit = values.limit === undefined ? undefined : countOf('limit', values.limit)
  const pages = readNdjson<Page>(values.pages).slice(0, limit)
  const servers = await ownServers()
  const db = openDatabase({ url: servers.databaseUrl })
  try {
    await migrate(servers.databaseUrl)
    const wikiId = await fill(db, pages)
    const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
    const tagger = await startService('tagger', servers)
    try {
      const ground = { db, bus, tagger, wikiId, idleMs: 1000 * Number(values.idle) }
      say({ pages: pages.length, rss_mb: tagger.memoryMb('VmRSS') })
      for (let pass = 1; pass <= countOf('passes', values.passes); pass++) await embed(ground, pass)
      await wholeJob(ground, servers)
    } finally {
      await tagger.stop()
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
  readonly tagger: ServiceProcess
  readonly wikiId: number
  readonly idleMs: number
}

async function embed(ground: Ground, pass: number): Promise<void> {
  const { db, tagger } = ground
  await db.pool.query('truncate page_embeddings')
  const watched = watch(tagger)
  const jobId = await startJob(ground)
  const seconds = await ended(tagger, 'embedding_completed', jobId)
  await db.transaction((tx) => cancelJob(tx, jobId))
  await delay(ground.idleMs)
  say({ pass, seconds, ...watched() })
}

/** A job of pages that have their vectors from the last pass. */
async function wholeJob(ground: Ground, servers: StartedServers): Promise<void> {
  const clusterer = await startService('clusterer', servers)
  const propagator = await startService('propagator', servers)
  try {
    const watched = [watch(ground.tagger), watch(propagator)]
    const jobId = await startJob(ground)
    const labelled = await ended(ground.tagger, 'tags_generated', jobId)
    const seconds = labelled + (await ended(propagator, 'job_completed', jobId))
    await delay(ground.idleMs)
    say({ job: 'tagger', seconds: labelled, ...watched[0]!() })
    say({ job: 'propagator', seconds, ...watched[1]!() })
  } finally {
    await propagator.stop()
    await clusterer.stop()
  }
}

/** @returns what to say of the service since now */
function watch(service: ServiceProcess): () => Record<string, unknown> {
  const before = service.of('event_loop_blocked').length
  service.forgetPeak()
  return () => {
    const blocked = service.of('event_loop_blocked').slice(before)
    return {
      rss_mb: service.memoryMb('VmRSS'),
      peak_mb: service.memoryMb('VmHWM'),
      blocked_ms: blocked.map((line) => line.blocked_ms),
      cpu_ms: blocked.map((line) => line.cpu_ms),
    }
  }
}

async function startJob({ db, bus, wikiId }: Ground): Promise<string> {
  const job = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!
  })
  await bus.publish(
    toMessage(events.jobRequested, { wiki_id: wikiId, job_id: job.id, options: {} }, { source: 'gateway' }),
  )
  return job.id
}

/** @returns seconds until the service logged this of the job */
async function ended(service: ServiceProcess, event: string, jobId: string): Promise<number> {
  const began = performance.now()
  while (!service.of(event).some((line) => line.job_id === jobId)) {
    if (performance.now() - began > eventWithinMs) throw new Error(`no ${event} within ${eventWithinMs / 1000} s`)
    await delay(20)
  }
  return Math.round((performance.now() - began) / 10) / 100
}

const atOnce = 1_000

async function fill(db: Database, pages: readonly Page[]): Promise<number> {
  const { rows } = await db.pool.query<{ id: number }>("insert into wikis (name) values ('bench') returning id")
  const wikiId = rows[0]!.id
  for (let first = 0; first < pages.length; first += atOnce) {
    const part = pages.slice(first, first + atOnce)
    const toStore = part.map(({ id, title, text }) => ({
      externalId: id,
      title,
      text,
      goldLabel: null,
      tags: undefined,
    }))
    await storePages(db, wikiId, toStore)
  }
  await db.pool.query('analyze')
  return wikiId
}
