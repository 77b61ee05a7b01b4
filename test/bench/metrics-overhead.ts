/**
 * What run records cost a job.
 *
 *   npm run bench -- metrics-overhead [--pairs 5] [--pages 400 | --wiki FOLDER_OR_NDJSON]
 *
 * Each pair is the same job with ENABLE_METRICS=true and =false, one after the other, the order turning round from pair to pair, each on a new
 * wiki and by services of its own. JSON lines:
 *   pair        wall time and processor time of both
 *   accounting  processor time of metrics, as a share of the job's. In the four services that do the work: that of collecting and sending
 *               one sample (JobMetrics, serializing, outbox row, publishing; the same transaction without a sample taken off), times the samples
 *               of the job. In the aggregator: all that its process took from the request for the job until its record was stored
 *               (`aggregator`, with what it takes when nothing happens), and that less its idle rate over the same time (`above_idle`)
 *   paired      median difference of wall time, of processor time of the four, and of all five services
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Bus, connectBus } from '@tagloom/bus'
import { type ServiceName, services } from '@tagloom/contracts'
import { addOutbox, type Database, migrate, openDatabase, takeOutbox } from '@tagloom/database'
import { freePort } from '@tagloom/local-servers'
import { JobMetrics } from '@tagloom/service-kit'
import { endsWithBench, ownServers } from './ground/own-servers.ts'

const options = {
  pairs: { type: 'string', default: '5' },
  pages: { type: 'string', default: '400' },
  wiki: { type: 'string' },
} as const
const apiKey = 'bench-key-of-enough-length'
const workers: readonly ServiceName[] = ['gateway', 'tagger', 'clusterer', 'propagator']

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const servers = await ownServers()
  try {
    await migrate(servers.databaseUrl)
    const db = openDatabase({ url: servers.databaseUrl })
    const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
    try {
      const sampleUs = await costOfSample(db, bus)
      await bus.close()
      const pages = values.wiki === undefined ? madeUp(Number(values.pages)) : await pagesAt(values.wiki)
      await pairs(servers, db, Number(values.pairs), pages, sampleUs)
    } finally {
      await db.close()
    }
  } finally {
    await servers.stop()
  }
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Processor time of one sample, in µs: a batch's transaction with it, less one without. */
async function costOfSample(db: Database, bus: Bus): Promise<number> {
  const rounds = 500
  const commit = async (at: number, enabled: boolean) => {
    const metrics = new JobMetrics({ wikiId: 1, jobId: 'bench', service: 'propagator', enabled, databaseErrors: 0 })
    metrics.startStage('propagate', at)
    for (let page = 0; page < 1000; page++) metrics.increment(`pages_by_tags.${page % 9}`)
    metrics.increment('pages_processed', 1000)
    const ids = await db.transaction((tx) => addOutbox(tx, metrics.toMessages({ source: 'propagator' })))
    if (ids.length) await takeOutbox(db, { ids, limit: 1 }, (row) => bus.publish(row))
  }
  const measure = async (from: number, enabled: boolean) => {
    const before = cpuUs()
    for (let i = 0; i < rounds; i++) await commit(from + i, enabled)
    return (cpuUs() - before) / rounds
  }
  await measure(0, true)
  await measure(0, false)
  return Math.max(0, (await measure(rounds, true)) - (await measure(0, false)))
}

interface Measured {
  readonly seconds: number
  /** Of the four services that do the work, until the job was completed */
  readonly workCpu: number
  /** Of the aggregator, until the record was stored */
  readonly aggregatorCpu: number
  /** What the aggregator would have taken in that time without a job */
  readonly idleCpu: number
  readonly samples: number
}

const say = (figures: Record<string, unknown>) => console.log(JSON.stringify({ bench: 'metrics-overhead', ...figures }))
const rounded = (value: number) => Number(value.toFixed(3))
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number

async function pairs(servers: Servers, db: Database, count: number, pages: string, sampleUs: number): Promise<void> {
  const measured: { on: Measured; off: Measured }[] = []
  for (let pair = 0; pair < count; pair++) {
    const first = pair % 2 === 0
    const one = await job(servers, db, first, pages, pair)
    const other = await job(servers, db, !first, pages, pair)
    const both = first ? { on: one, off: other } : { on: other, off: one }
    measured.push(both)
    const of = ({ seconds, workCpu, aggregatorCpu }: Measured) => ({
      s: rounded(seconds),
      work_cpu_s: rounded(workCpu),
      aggregator_cpu_s: rounded(aggregatorCpu),
    })
    say({ part: 'pair', pair, first: first ? 'on' : 'off', on: of(both.on), off: of(both.off) })
  }
  const on = (of: (one: Measured) => number) => median(measured.map((both) => of(both.on)))
  const ofJob = (cpu: (one: Measured) => number) =>
    rounded(100 * on((one) => ((one.samples * sampleUs) / 1e6 + cpu(one)) / (one.workCpu + one.aggregatorCpu)))
  say({
    part: 'accounting',
    sample_cpu_us: Math.round(sampleUs),
    samples: on((one) => one.samples),
    work_cpu_s: rounded(on((one) => one.workCpu)),
    aggregator_cpu_s: rounded(on((one) => one.aggregatorCpu)),
    aggregator_idle_cpu_s: rounded(on((one) => one.idleCpu)),
    services_percent: ofJob(() => 0),
    with_aggregator_above_idle_percent: ofJob((one) => Math.max(0, one.aggregatorCpu - one.idleCpu)),
    with_aggregator_percent: ofJob((one) => one.aggregatorCpu),
  })
  const percent = (of: (one: Measured) => number) =>
    rounded(median(measured.map((both) => (100 * (of(both.on) - of(both.off))) / of(both.off))))
  say({
    part: 'paired',
    pairs: count,
    wall_median_percent: percent((one) => one.seconds),
    work_cpu_median_percent: percent((one) => one.workCpu),
    all_cpu_median_percent: percent((one) => one.workCpu + one.aggregatorCpu),
  })
}

interface Servers {
  readonly databaseUrl: string
  readonly natsUrl: string
}

const idleMs = 3_000

/** One job on a new wiki, by services of its own. */
async function job(servers: Servers, db: Database, enabled: boolean, pages: string, pair: number): Promise<Measured> {
  const running = await Promise.all(services.map((service) => startService(service, servers, enabled)))
  const baseOf = (service: ServiceName) => running[services.indexOf(service)]?.base as string
  const work = async () =>
    (await Promise.all(workers.map((service) => cpuOf(baseOf(service))))).reduce((a, b) => a + b, 0)
  const aggregator = () => cpuOf(baseOf('metrics-aggregator'))
  try {
    const gateway = baseOf('gateway')
    const wiki = await call(gateway, 'POST', '/api/wikis', { name: `pair ${pair} ${enabled}` })
    await call(gateway, 'POST', `/api/wikis/${wiki.id}/pages`, pages)
    // Read once before, so that what the first scrape alone costs is in neither.
    await aggregator()
    const idleBefore = await aggregator()
    await pause(idleMs)
    const before = { work: await work(), aggregator: await aggregator(), at: performance.now() }
    const { id } = await call(gateway, 'POST', `/api/wikis/${wiki.id}/jobs`, {})
    await untilCompleted(gateway, id)
    const workCpu = (await work()) - before.work
    while (enabled && (await recordsOf(db, id)) === 0) await pause(50)
    const aggregatorCpu = (await aggregator()) - before.aggregator
    const idleRate = (before.aggregator - idleBefore) / idleMs
    const { rows } = await db.pool.query(
      `select extract(epoch from ended_at - started_at)::float8 as seconds,
         (select count(*)::int from metric_samples where job_id = $1) as samples from jobs where id = $1`,
      [id],
    )
    const idleCpu = idleRate * (performance.now() - before.at)
    return { seconds: rows[0].seconds, samples: rows[0].samples, workCpu, aggregatorCpu, idleCpu }
  } finally {
    await Promise.all(running.map(({ stop }) => stop()))
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function untilCompleted(gateway: string, id: string): Promise<void> {
  for (;;) {
    const { status, failure } = await call(gateway, 'GET', `/api/jobs/${id}`)
    if (status === 'completed') return
    if (status === 'failed') throw new Error(`the job failed: ${failure?.reason}`)
    await pause(250)
  }
}

async function recordsOf(db: Database, jobId: string): Promise<number> {
  const { rows } = await db.pool.query('select from clustering_metrics where job_id = $1', [jobId])
  return rows.length
}

/** As NDJSON. */
const madeUp = (count: number): string =>
  Array.from({ length: count }, (_, at) =>
    JSON.stringify({ id: `p${at}`, title: `Page ${at}`, text: textOf(at) }),
  ).join('\n')

async function pagesAt(path: string): Promise<string> {
  const { wikiAt } = await import('@tagloom/launcher/testing')
  const parts: Uint8Array[] = []
  for await (const part of (await wikiAt(resolve(path))).lines()) parts.push(part)
  return Buffer.concat(parts).toString()
}

/** Some sentences about one of ten made-up topics, the same at every call. */
function textOf(at: number): string {
  const topic = at % 10
  const word = (n: number) => `topic${topic}word${(at * 7 + n * 13) % 40}`
  return Array.from(
    { length: 12 },
    (_, s) => `The ${word(s)} of a ${word(s + 3)} needs ${word(s + 5)} and ${word(s + 8)}.`,
  ).join(' ')
}

async function startService(service: ServiceName, servers: Servers, enabled: boolean) {
  const port = await freePort()
  const main = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      DATABASE_URL: servers.databaseUrl,
      NATS_URL: servers.natsUrl,
      PORT: String(port),
      LOG_LEVEL: 'WARNING',
      ENABLE_METRICS: String(enabled),
      ...(service === 'gateway' ? { TAGLOOM_API_KEY: apiKey } : {}),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  endsWithBench(child)
  const base = `http://127.0.0.1:${port}`
  const end = Date.now() + 60_000
  while (!(await isReady(base))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${service} did not start`)
    await pause(100)
  }
  const stop = async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return { service, base, stop }
}

const isReady = (base: string): Promise<boolean> =>
  fetch(`${base}/readyz`, { signal: AbortSignal.timeout(3_000) }).then(
    (answer) => answer.ok,
    () => false,
  )

async function cpuOf(base: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()
  return Number(/^process_cpu_seconds_total\S* (\S+)/m.exec(text)?.[1])
}

// biome-ignore lint/suspicious/noExplicitAny: answers of several routes
async function call(base: string, method: string, path: string, body?: unknown): Promise<any> {
  const end = Date.now() + 60_000
  for (;;) {
    const answer = await fetch(base + path, {
      method,
      headers: {
        'x-api-key': apiKey,
        ...(body === undefined
          ? {}
          : { 'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    if (answer.ok) return answer.json()
    // A gateway that just started on a busy machine says that it is overloaded.
    if (answer.status !== 503 || Date.now() > end)
      throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    await pause(500)
  }
}
