/**
 * What run records cost a job.
 *
 *   npm run bench -- metrics-overhead [--pairs 5] [--pages 400]
 *
 * JSON lines:
 *   accounting  processor time of collecting and sending one sample (JobMetrics, serializing, outbox row, publishing; the same transaction
 *               without a sample taken off), times the samples of a job, as a share of the processor time that its services took
 *   paired      the same job with ENABLE_METRICS=true and =false, in turns, each pair on a new wiki: median difference of wall time and of
 *               processor time of the four services that do the work
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Bus, connectBus } from '@tagloom/bus'
import { type ServiceName, services } from '@tagloom/contracts'
import { addOutbox, type Database, migrate, openDatabase, takeOutbox } from '@tagloom/database'
import { freePort, startServers } from '@tagloom/local-servers'
import { JobMetrics } from '@tagloom/service-kit'

const options = { pairs: { type: 'string', default: '5' }, pages: { type: 'string', default: '400' } } as const
const apiKey = 'bench-key-of-enough-length'
const workers: readonly ServiceName[] = ['gateway', 'tagger', 'clusterer', 'propagator']

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const home = mkdtempSync(join(tmpdir(), 'tagloom-bench-'))
  const servers = await startServers({ home, env: process.env })
  try {
    await migrate(servers.databaseUrl)
    const db = openDatabase({ url: servers.databaseUrl })
    const bus = await connectBus({ url: servers.natsUrl, name: 'bench' })
    try {
      const sampleUs = await costOfSample(db, bus)
      await bus.close()
      await pairs(servers, db, Number(values.pairs), Number(values.pages), sampleUs)
    } finally {
      await db.close()
    }
  } finally {
    await servers.stop()
    rmSync(home, { recursive: true, force: true })
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
  readonly cpuSeconds: number
  readonly samples: number
}

async function pairs(
  servers: { databaseUrl: string; natsUrl: string },
  db: Database,
  count: number,
  pages: number,
  sampleUs: number,
): Promise<void> {
  const measured: { on: Measured; off: Measured }[] = []
  for (let pair = 0; pair < count; pair++) {
    const first = pair % 2 === 0
    const one = await job(servers, db, first, pages, pair)
    const other = await job(servers, db, !first, pages, pair)
    measured.push(first ? { on: one, off: other } : { on: other, off: one })
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
  const percent = (of: (one: Measured) => number) =>
    Number(median(measured.map(({ on, off }) => (100 * (of(on) - of(off))) / of(off))).toFixed(2))
  const samples = median(measured.map(({ on }) => on.samples))
  const cpuSeconds = median(measured.map(({ on }) => on.cpuSeconds))
  const share = (100 * samples * sampleUs) / 1e6 / cpuSeconds
  const say = (figures: Record<string, unknown>) =>
    console.log(JSON.stringify({ bench: 'metrics-overhead', ...figures }))
  say({
    part: 'accounting',
    sample_cpu_us: Math.round(sampleUs),
    samples,
    job_cpu_s: Number(cpuSeconds.toFixed(2)),
    share_percent: Number(share.toFixed(3)),
  })
  say({
    part: 'paired',
    pairs: count,
    pages,
    wall_median_percent: percent((one) => one.seconds),
    cpu_median_percent: percent((one) => one.cpuSeconds),
    on_s: measured.map(({ on }) => Number(on.seconds.toFixed(2))),
    off_s: measured.map(({ off }) => Number(off.seconds.toFixed(2))),
  })
}

/** One job on a new wiki, by services of its own. */
async function job(
  servers: { databaseUrl: string; natsUrl: string },
  db: Database,
  enabled: boolean,
  pages: number,
  pair: number,
): Promise<Measured> {
  const running = await Promise.all(services.map((service) => startService(service, servers, enabled)))
  try {
    const gateway = running[services.indexOf('gateway')]?.base as string
    const wiki = await call(gateway, 'POST', '/api/wikis', { name: `pair ${pair} ${enabled}` })
    const page = (at: number) => ({ id: `p${at}`, title: `Page ${at}`, text: textOf(at) })
    await call(
      gateway,
      'POST',
      `/api/wikis/${wiki.id}/pages`,
      Array.from({ length: pages }, (_, at) => page(at)),
    )
    const busy = running.filter(({ service }) => workers.includes(service))
    const cpu = async () => (await Promise.all(busy.map(({ base }) => cpuOf(base)))).reduce((a, b) => a + b, 0)
    const before = await cpu()
    const { id } = await call(gateway, 'POST', `/api/wikis/${wiki.id}/jobs`, {})
    for (;;) {
      const { status, failure } = await call(gateway, 'GET', `/api/jobs/${id}`)
      if (status === 'completed') break
      if (status === 'failed') throw new Error(`the job failed: ${failure?.reason}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const cpuSeconds = (await cpu()) - before
    const { rows } = await db.pool.query(
      `select extract(epoch from ended_at - started_at)::float8 as seconds,
         (select count(*)::int from metric_samples where job_id = $1) as samples from jobs where id = $1`,
      [id],
    )
    return { seconds: rows[0].seconds, samples: rows[0].samples, cpuSeconds }
  } finally {
    await Promise.all(running.map(({ stop }) => stop()))
  }
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

async function startService(service: ServiceName, servers: { databaseUrl: string; natsUrl: string }, enabled: boolean) {
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
  const base = `http://127.0.0.1:${port}`
  const end = Date.now() + 60_000
  while (!(await isReady(base))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${service} did not start`)
    await new Promise((resolve) => setTimeout(resolve, 100))
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
      headers: { 'x-api-key': apiKey, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    if (answer.ok) return answer.json()
    // A gateway that just started on a busy machine says that it is overloaded.
    if (answer.status !== 503 || Date.now() > end)
      throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
