import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ServiceName, services } from '@tagloom/contracts'
import { type Database, migrate, openDatabase } from '@tagloom/database'
import { freePort } from '@tagloom/local-servers'
import { endsWithBench } from '../ground/own-servers.ts'

const apiKey = 'bench-key-of-enough-length'
const workers = services.filter((service) => service !== 'metrics-aggregator')
const idleMs = 3_000

export interface Measured {
  /** From the start of the job to its end, by the database's clock */
  readonly seconds: number
  /** Seconds of processor time of the four services that do the work, until the job was completed */
  readonly workCpu: number
  /** Of the aggregator, until the record was stored */
  readonly aggregatorCpu: number
  /** What the aggregator would have taken in that time without a job */
  readonly idleCpu: number
  readonly samples: number
}

/** All five services, with or without metrics, over a database and streams of their own. */
export interface Pipeline {
  /** One job on a new wiki with these pages (NDJSON). */
  job(pages: string): Promise<Measured>
  /** Its processes get no processor until `goOn`. */
  standStill(): void
  goOn(): void
  stop(): Promise<void>
}

export async function startPipeline(
  servers: { readonly databaseUrl: string; readonly natsUrl: string },
  enabled: boolean,
  round: number,
): Promise<Pipeline> {
  // The streams of a round stay: the next one's messages must not be taken for theirs.
  const name = `bench_metrics_${enabled ? 'on' : 'off'}_${round}`
  const databaseUrl = await newDatabase(servers.databaseUrl, name)
  const db = openDatabase({ url: databaseUrl })
  const env = { DATABASE_URL: databaseUrl, NATS_URL: servers.natsUrl, NATS_PREFIX: name, ENABLE_METRICS: `${enabled}` }
  const running = await Promise.all(services.map((service) => startService(service, env)))
  const signal = (what: NodeJS.Signals) => {
    for (const { child } of running) child.kill(what)
  }
  const stop = async (): Promise<void> => {
    signal('SIGCONT')
    signal('SIGTERM')
    for (const { child } of running) if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await db.close()
    await dropDatabase(servers.databaseUrl, name)
  }
  const baseOf = (service: ServiceName) => running[services.indexOf(service)]?.base as string
  return {
    job: (pages) => measureJob(db, baseOf, enabled, pages),
    standStill: () => signal('SIGSTOP'),
    goOn: () => signal('SIGCONT'),
    stop,
  }
}

async function newDatabase(serverUrl: string, name: string): Promise<string> {
  await dropDatabase(serverUrl, name)
  await onServer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = name
  await migrate(url.href)
  return url.href
}

const dropDatabase = (serverUrl: string, name: string): Promise<void> =>
  onServer(serverUrl, `drop database if exists ${name} with (force)`)

async function onServer(url: string, statement: string): Promise<void> {
  const db = openDatabase({ url })
  try {
    await db.pool.query(statement)
  } finally {
    await db.close()
  }
}

async function measureJob(
  db: Database,
  baseOf: (service: ServiceName) => string,
  enabled: boolean,
  pages: string,
): Promise<Measured> {
  const work = async () =>
    (await Promise.all(workers.map((service) => cpuOf(baseOf(service))))).reduce((a, b) => a + b, 0)
  const aggregator = () => cpuOf(baseOf('metrics-aggregator'))
  const gateway = baseOf('gateway')
  const wiki = await call(gateway, 'POST', '/api/wikis', { name: crypto.randomUUID() })
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
}

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

async function startService(
  service: ServiceName,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly base: string; readonly child: ChildProcess }> {
  const port = await freePort()
  const main = fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: String(port),
      LOG_LEVEL: 'WARNING',
      ...env,
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
  return { base, child }
}

const isReady = (base: string): Promise<boolean> =>
  fetch(`${base}/readyz`, { signal: AbortSignal.timeout(3_000) }).then(
    (answer) => answer.ok,
    () => false,
  )

/** In seconds. */
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
