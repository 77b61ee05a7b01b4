/**
 * What the aggregator and its questions cost.
 *
 *   npm run bench -- aggregator [--samples 100000] [--runs 10000] [--seconds 5] [--only ingest|trends|endpoint]
 *
 * JSON lines:
 *   ingest     a backlog of samples drained by the aggregator's own process as it is shipped (checked, stored in PostgreSQL, acknowledged,
 *              live records made meanwhile) beside a bare JetStream consumer in a process of its own (durable, explicit acknowledgement of
 *              each message as ours, nothing read or parsed), on the same stream, in turns; the ratio is the median of the turns'
 *   trends     GET /api/wikis/{id}/trends of a wiki with so many runs: p50, p95, p99 in ms
 *   endpoint   requests/s of GET /api/tags/cluster-metrics/{id} beside a bare Fastify route that answers with the same body
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { metricGroups, metricList } from '@tagloom/contracts'
import { type Database, migrate, openDatabase } from '@tagloom/database'
import { freePort } from '@tagloom/local-servers'
import { type Drained, measureIngest } from './aggregator/ingest.ts'
import { endsWithBench, ownServers } from './ground/own-servers.ts'

const options = {
  samples: { type: 'string', default: '100000' },
  runs: { type: 'string', default: '10000' },
  seconds: { type: 'string', default: '5' },
  only: { type: 'string' },
} as const

const say = (figures: Record<string, unknown>) => console.log(JSON.stringify(figures))

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const servers = await ownServers()
  try {
    await migrate(servers.databaseUrl)
    const db = openDatabase({ url: servers.databaseUrl })
    try {
      const wanted = (part: string) => values.only === undefined || values.only === part
      if (wanted('ingest')) await benchIngest(db, servers, Number(values.samples))
      const wikiId = await fillRuns(db, Number(values.runs))
      // What a question costs, and not what remembering its answer saves
      if (wanted('trends'))
        await withGateway(servers, { ENABLE_QUERY_CACHING: 'false' }, async (base) => {
          for (const query of ['window=20', 'window=100', 'window=200', 'days=30'])
            await benchTrends(`${base}/api/wikis/${wikiId}/trends?${query}`, query, Number(values.runs))
        })
      if (wanted('endpoint'))
        await withGateway(servers, {}, (base) =>
          benchEndpoint(base, `/api/tags/cluster-metrics/${wikiId}`, Number(values.seconds)),
        )
    } finally {
      await db.close()
    }
  } finally {
    await servers.stop()
  }
}

async function benchIngest(
  db: Database,
  servers: { readonly databaseUrl: string; readonly natsUrl: string },
  count: number,
): Promise<void> {
  const { bare, aggregator } = await measureIngest(db, servers, count)
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number
  const perSecond = (of: readonly Drained[]) => Math.round(median(of.map((one) => one.perSecond)))
  const cpuUs = (of: readonly Drained[]) => Number(median(of.map((one) => one.cpuUs)).toFixed(1))
  const ratios = aggregator.map((one, round) => one.perSecond / (bare[round] as Drained).perSecond)
  say({
    bench: 'aggregator',
    part: 'ingest',
    samples: count,
    bare_per_s: perSecond(bare),
    aggregator_per_s: perSecond(aggregator),
    ratio: Number(median([...ratios]).toFixed(3)),
    ratios: ratios.map((ratio) => Number(ratio.toFixed(3))),
    bare_cpu_us: cpuUs(bare),
    aggregator_cpu_us: cpuUs(aggregator),
  })
}

/** A wiki with so many recorded runs, the figures of which wander. */
async function fillRuns(db: Database, runs: number): Promise<number> {
  const { rows } = await db.pool.query("insert into wikis (name) values ('bench') returning id")
  const wikiId = rows[0].id as number
  await db.pool.query(
    `insert into jobs (id, wiki_id, status, options, created_at, started_at, ended_at)
     select 'job_' || i, $1, 'completed', '{}', now() - i * interval '1 hour', now() - i * interval '1 hour', now() - i * interval '1 hour'
     from generate_series(1, $2) i`,
    [wikiId, runs],
  )
  const figures = metricList.map(({ name }, at) => `'${name}', ${at + 1} + sin(i * ${at + 1}) + i * 0.001`).join(', ')
  const groups = Object.fromEntries(
    metricGroups.map((group) => [
      group,
      Object.fromEntries(metricList.filter((one) => one.group === group).map(({ name, example }) => [name, example])),
    ]),
  )
  const record = JSON.stringify({ ...groups, padding: 'x'.repeat(6_000) })
  await db.pool.query(
    `insert into clustering_metrics (wiki_id, job_id, created_at, figures, metrics_json)
     select $1, 'job_' || i, now() - i * interval '1 hour', jsonb_build_object(${figures}), $3::jsonb from generate_series(1, $2) i`,
    [wikiId, runs, record],
  )
  await db.pool.query('update wikis set current_job_id = $2 where id = $1', [wikiId, 'job_1'])
  await db.pool.query('analyze')
  return wikiId
}

const apiKey = 'bench-key-of-enough-length'

/** Runs `work` against a gateway of its own. */
async function withGateway(
  servers: { databaseUrl: string; natsUrl: string },
  env: Record<string, string>,
  work: (base: string) => Promise<void>,
): Promise<void> {
  const port = await freePort()
  const main = fileURLToPath(new URL('../../services/gateway/src/main.ts', import.meta.url))
  const gateway = spawn(process.execPath, [...process.execArgv, main], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: servers.databaseUrl,
      NATS_URL: servers.natsUrl,
      PORT: String(port),
      TAGLOOM_API_KEY: apiKey,
      // Counted and logged like any request, only never refused
      RATE_LIMIT_PER_MINUTE: '100000000',
      LOG_LEVEL: 'INFO',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  endsWithBench(gateway)
  const base = `http://127.0.0.1:${port}`
  try {
    await untilReady(`${base}/readyz`, gateway)
    await work(base)
  } finally {
    gateway.kill('SIGTERM')
    await once(gateway, 'exit')
  }
}

async function benchTrends(url: string, asked: string, runs: number): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < 220; i++) {
    const started = performance.now()
    await request(url)
    if (i >= 20) times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => Number((times[Math.floor(share * (times.length - 1))] as number).toFixed(2))
  say({ bench: 'aggregator', part: 'trends', runs, asked, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99) })
}

async function benchEndpoint(base: string, path: string, seconds: number): Promise<void> {
  const body = await request(base + path)
  const file = fileURLToPath(new URL('./peers/bare-route.ts', import.meta.url))
  const bare = endsWithBench(fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
  bare.send(body)
  const [bareUrl] = (await once(bare, 'message')) as [string]
  const of = { bare: [] as Loaded[], gateway: [] as Loaded[] }
  await load(bareUrl, 1)
  await load(base + path, 1)
  for (let round = 0; round < 3; round++) {
    of.bare.push(await loaded(bareUrl, seconds, () => cpuOfBare(bare)))
    of.gateway.push(await loaded(base + path, seconds, () => cpuOfGateway(base)))
  }
  bare.kill()
  const median = (values: number[]) => Math.round(values.sort((a, b) => a - b)[1] as number)
  const rps = (rows: Loaded[]) => median(rows.map((row) => row.rps))
  const cpu = (rows: Loaded[]) => median(rows.map((row) => row.cpuUs))
  say({
    bench: 'aggregator',
    part: 'endpoint',
    body_bytes: body.length,
    bare_rps: rps(of.bare),
    gateway_rps: rps(of.gateway),
    ratio: rps(of.gateway) / rps(of.bare),
    // Processor time of one answer, which other work on the machine disturbs less
    bare_cpu_us: cpu(of.bare),
    gateway_cpu_us: cpu(of.gateway),
    cpu_ratio: cpu(of.bare) / cpu(of.gateway),
  })
}

interface Loaded {
  readonly rps: number
  readonly cpuUs: number
}

async function loaded(url: string, seconds: number, cpuUs: () => Promise<number>): Promise<Loaded> {
  const before = await cpuUs()
  const answered = await load(url, seconds)
  return { rps: answered / seconds, cpuUs: ((await cpuUs()) - before) / answered }
}

async function cpuOfBare(bare: ChildProcess): Promise<number> {
  bare.send('cpu')
  const [us] = (await once(bare, 'message')) as [number]
  return us
}

async function cpuOfGateway(base: string): Promise<number> {
  const text = await request(`${base}/metrics`)
  return Number(/^process_cpu_seconds_total\S* (\S+)/m.exec(text)?.[1]) * 1e6
}

const connections = 16
const agent = new Agent({ keepAlive: true, maxSockets: connections })

/** Over some kept connections. @returns answers */
async function load(url: string, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000
  let answered = 0
  const one = async () => {
    while (performance.now() < end) {
      // A gateway that is told to be overloaded says so; that is no answer.
      const answer = await request(url).catch((error: Error) => error)
      if (typeof answer === 'string') answered++
      else await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  return answered
}

function request(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent, headers: { 'x-api-key': apiKey } }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`expected 200 from ${url}, got ${response.statusCode}: ${text}`))
      })
    }).on('error', reject)
  })
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + 30_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`)
    try {
      await request(url)
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
