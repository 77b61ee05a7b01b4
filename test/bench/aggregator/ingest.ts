import { type ChildProcess, fork } from 'node:child_process'
import { on, once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { connectBus } from '@tagloom/bus'
import { events, type MetricSample, toMessage } from '@tagloom/contracts'
import type { Database } from '@tagloom/database'
import { freePort } from '@tagloom/local-servers'
import { endsWithBench } from '../ground/own-servers.ts'

/*
 * A backlog of samples, drained by the aggregator's own process as it is shipped (checked, stored in PostgreSQL, acknowledged, live records
 * of their jobs made meanwhile) and by a bare consumer in a process of its own. Both are up and their durables paused while the backlog is
 * published; each is resumed alone. A drain lasts until the server knows of nothing that is unread or unacknowledged.
 */

const stream = 'TAGLOOM_EVENTS'
const consumers = { aggregator: 'metrics-aggregator-samples', bare: 'bench-bare' } as const
const rounds = 3
const wikis = 10
const jobsOfWiki = 10
const pollMs = 10
const drainWithinMs = 120_000

export interface Drained {
  readonly perSecond: number
  /** Of the draining process for one sample, garbage collection included; PostgreSQL and nats-server are not in it */
  readonly cpuUs: number
}

export interface IngestFigures {
  readonly bare: readonly Drained[]
  readonly aggregator: readonly Drained[]
}

export async function measureIngest(
  db: Database,
  servers: { readonly databaseUrl: string; readonly natsUrl: string },
  count: number,
): Promise<IngestFigures> {
  const connection = await connect({ servers: servers.natsUrl })
  const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
  const manager = await jetstreamManager(connection)
  const children: ChildProcess[] = []
  try {
    await manager.consumers.add(stream, {
      durable_name: consumers.bare,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      filter_subject: events.metricsSampled.filter,
      max_ack_pending: 10_000,
    })
    const bare = endsWithBench(fork(bareConsumer, [servers.natsUrl, stream, consumers.bare], { execArgv: answerCpu }))
    children.push(bare)
    await once(bare, 'message')
    const aggregator = await startAggregator(servers)
    children.push(aggregator)
    const figures = { bare: [] as Drained[], aggregator: [] as Drained[] }
    for (let round = 0; round < rounds; round++) {
      for (const durable of Object.values(consumers)) await manager.consumers.pause(stream, durable, inAnHour())
      const jobs = await addJobs(db, round)
      const publish = (i: number) =>
        bus.publish(toMessage(events.metricsSampled, sampleOf(jobs, i), { source: 'bench' }))
      await publishInParts(count, 2_000, publish)
      figures.bare.push(await drained(manager, consumers.bare, bare, () => publish(count)))
      figures.aggregator.push(await drained(manager, consumers.aggregator, aggregator, () => publish(count + 1)))
      const { rows } = await db.pool.query('select count(*)::int as n from metric_samples')
      if (rows[0].n !== count + 2) throw new Error(`expected ${count + 2} stored samples, got ${rows[0].n}`)
      await db.pool.query('truncate metric_sample_batches')
    }
    return figures
  } finally {
    for (const child of children) {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    }
    await bus.close()
    await connection.close()
  }
}

const inAnHour = () => new Date(Date.now() + 3_600_000)
const answerCpu = ['--import', fileURLToPath(new URL('../peers/answer-cpu.mjs', import.meta.url))]
const bareConsumer = fileURLToPath(new URL('../peers/bare-consumer.ts', import.meta.url))
const service = fileURLToPath(new URL('../../../services/metrics-aggregator/src/main.ts', import.meta.url))

/** The service's own process, ready. */
async function startAggregator(servers: { databaseUrl: string; natsUrl: string }): Promise<ChildProcess> {
  const port = await freePort()
  const child = fork(service, [], {
    execArgv: answerCpu,
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: servers.databaseUrl,
      NATS_URL: servers.natsUrl,
      PORT: String(port),
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  endsWithBench(child)
  const end = Date.now() + 30_000
  for (;;) {
    if (child.exitCode !== null || Date.now() > end) throw new Error('the aggregator did not become ready')
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(3_000) }).catch(
      () => undefined,
    )
    if (ready?.ok) return child
    await pause(50)
  }
}

/** @param oneMore a resumed durable looks at its backlog when the next message comes, which this publishes */
async function drained(
  manager: JetStreamManager,
  durable: string,
  child: ChildProcess,
  oneMore: () => Promise<unknown>,
): Promise<Drained> {
  const left = async () => {
    const { num_pending, num_ack_pending } = await manager.consumers.info(stream, durable)
    return num_pending + num_ack_pending
  }
  const all = await left()
  await manager.consumers.resume(stream, durable)
  const cpuBefore = await cpuOf(child)
  const started = performance.now()
  await oneMore()
  for (let now = all; now > 0; now = await left()) {
    if (performance.now() - started > drainWithinMs) throw new Error(`${durable} did not drain: ${now} of ${all} left`)
    await pause(pollMs)
  }
  const seconds = (performance.now() - started) / 1000
  return { perSecond: all / seconds, cpuUs: ((await cpuOf(child)) - cpuBefore) / all }
}

/** Others of its messages (a service tells its parent that it listens) may come before. */
async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu')
  for await (const [message] of on(child, 'message', { signal: AbortSignal.timeout(30_000) }))
    if (typeof message?.cpu === 'number') return message.cpu
  throw new Error('the process ended before it told of its processor time')
}

/** Jobs whose records the samples ask for. */
interface Job {
  readonly id: string
  readonly wikiId: number
}

async function addJobs(db: Database, round: number): Promise<Job[]> {
  const { rows } = await db.pool.query(
    `with made as (insert into wikis (name) select 'bench ' || $1 || ' ' || i from generate_series(1, $2::int) i returning id)
     insert into jobs (id, wiki_id, status, options, created_at, started_at, ended_at)
     select 'cluster_wiki_' || id || '_' || i, id, 'completed', '{}', now(), now(), now() from made, generate_series(1, $3::int) i
     returning id, wiki_id as "wikiId"`,
    [String(round), wikis, jobsOfWiki],
  )
  return rows
}

function sampleOf(jobs: readonly Job[], i: number): MetricSample {
  const at = (seconds: number) => new Date(1_769_000_000_000 + (i * 10 + seconds) * 1000).toISOString()
  const job = jobs[i % jobs.length] as Job
  return {
    wiki_id: job.wikiId,
    job_id: job.id,
    stage: 'propagate',
    batch: String(Math.floor(i / jobs.length)),
    service: 'propagator',
    version: '0f1e2d3c4b5a',
    started_at: at(0),
    ended_at: at(1),
    duration_seconds: 1,
    counters: {
      pages_processed: 1000,
      pages_tagged: 900,
      tags_applied: 4000,
      'pages_by_tags.0': 100,
      'pages_by_tags.4': 900,
    },
    gauges: {},
  }
}

async function publishInParts(count: number, part: number, publish: (i: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += part)
    await Promise.all(Array.from({ length: Math.min(part, count - from) }, (_, k) => publish(from + k)))
}
