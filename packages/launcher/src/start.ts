import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '@tagloom/contracts'
import { type Database, listAlerts, migrate, openDatabase, readRunEvaluation } from '@tagloom/database'
import { isPortFree, type StartedServers, startServers } from '@tagloom/local-servers'
import { ownApiKey } from './api-key.ts'
import { demoWiki } from './demo-wiki.ts'
import { fiveServices } from './five-services.ts'
import { GatewayClient } from './gateway-client.ts'
import { type Output, ProgressView } from './progress-view.ts'
import { addressLines, alertLines, clusterLines, importLines, recordLines } from './report.ts'
import { importWiki, runJob } from './run-job.ts'
import type { StartOptions } from './start-options.ts'
import { Supervisor } from './supervisor.ts'
import { type WikiSource, wikiAt } from './wiki-source.ts'

const READY_TIMEOUT_MS = 60_000
const RECORD_TIMEOUT_MS = 20_000
/** With the servers' own time to stop this stays under 10 s. */
const SERVICES_GRACE_MS = 6_000

export interface StartContext {
  /** The repository. */
  root: string
  /** Where a relative --wiki starts from. */
  cwd: string
  env: Record<string, string | undefined>
  out: Output
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
}

/** `npm start`: the numbered steps of its help, in their order. @returns the exit code */
export async function start(options: StartOptions, context: StartContext): Promise<number> {
  const say = (line: string): void => context.out.write(`${line}\n`)
  const home = resolve(context.root, context.env.TAGLOOM_HOME || '.tagloom')
  const gatewayPort = await freeGatewayPort(context.env.GATEWAY_PORT)
  const source = await openWiki(options, context)
  mkdirSync(home, { recursive: true, mode: 0o755 })
  const apiKey = ownApiKey(home, context.env.TAGLOOM_API_KEY)
  const view = new ProgressView(context.out)
  const supervisor = new Supervisor({ logFolder: join(home, 'logs'), say: (line) => view.note(`  ${line}`) })
  let servers: StartedServers | undefined
  let database: Database | undefined
  try {
    say('Starting PostgreSQL and NATS …')
    servers = await startServers({ home, env: context.env, say: (line) => say(`  ${line}`) })
    context.signal.throwIfAborted()
    await migrate(servers.databaseUrl)
    say('Starting five services …')
    const { databaseUrl, natsUrl } = servers
    const env = { MODEL_CACHE_DIR: join(home, 'models'), ...context.env }
    const settings = { root: context.root, env, databaseUrl, natsUrl, gatewayPort, apiKey }
    for (const spec of await fiveServices(settings)) supervisor.start(spec)
    await supervisor.whenReady(READY_TIMEOUT_MS, context.signal)

    const client = new GatewayClient(`http://127.0.0.1:${gatewayPort}`, apiKey)
    database = openDatabase({ url: databaseUrl, max: 2, applicationName: 'tagloom-launcher' })
    const withRecords = context.env.ENABLE_METRICS !== 'false'
    const tagging = { client, database, source, view, say, withRecords, signal: context.signal }
    const code = await Promise.race([tagWiki(tagging), supervisor.givenUp, servers.givenUp])
    if (options.once) return code
    say('\nServing until Ctrl-C.')
    await Promise.race([untilAborted(context.signal), supervisor.givenUp, servers.givenUp])
    return code
  } finally {
    if (supervisor.services.length > 0) say('Stopping …')
    await supervisor.stop(SERVICES_GRACE_MS)
    await database?.close()
    await servers?.stop()
  }
}

interface Tagging {
  client: GatewayClient
  database: Database
  source: WikiSource
  view: ProgressView
  say(line: string): void
  withRecords: boolean
  signal: AbortSignal
}

async function tagWiki(tagging: Tagging): Promise<number> {
  const { client, source, view, say, signal } = tagging
  const wiki = await client.wikiNamed(source.name, signal)
  say(`Tagging the wiki "${source.name}"${source.pageCount === undefined ? '' : `, ${source.pageCount} pages`} …`)
  const report = await importWiki(client, wiki.id, source, view, signal)
  for (const line of importLines(report, source)) view.note(line)
  const job = await runJob(client, wiki.id, view, signal)
  const shown = job.status === 'completed' ? await completedLines(tagging, job) : failedLines(job)
  for (const line of [...shown, ...addressLines(client.base, wiki.id, client.key)]) say(line)
  return job.status === 'completed' ? 0 : 1
}

async function completedLines({ client, database, withRecords, signal }: Tagging, job: Job): Promise<string[]> {
  const clusters = clusterLines(await client.clusters(job.wiki_id, signal))
  if (!withRecords) return ['\nRun records are switched off by ENABLE_METRICS=false.', ...clusters]
  await whenJudged(database, job.id, signal)
  const { latest_clustering: record } = await client.clusterMetrics(job.wiki_id, signal)
  const alerts = await listAlerts(database, { wikiId: job.wiki_id, states: ['firing', 'acknowledged'], limit: 50 })
  if (record?.job_id !== job.id)
    return ['\nThe run record is not there yet: ask its address below in a moment.', ...clusters]
  return [...recordLines(record), ...clusters, ...alertLines(alerts)]
}

function failedLines(job: Job): string[] {
  return [`\nThe job ${job.id} ${job.status}: ${job.failure?.reason ?? 'no reason was given'}`]
}

/** The aggregator folds the last samples and judges the run when the job has completed: a moment later than its end. */
async function whenJudged(database: Database, jobId: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + RECORD_TIMEOUT_MS
  while (Date.now() < deadline) {
    if ((await readRunEvaluation(database, jobId))?.evaluatedAt) return
    await delay(200, undefined, { signal })
  }
}

async function openWiki(options: StartOptions, context: StartContext): Promise<WikiSource> {
  if (options.wiki === undefined) return demoWiki(join(context.root, 'node_modules'), options.name)
  return wikiAt(resolve(context.cwd, options.wiki), options.name)
}

async function freeGatewayPort(given: string | undefined): Promise<number> {
  const port = Number(given || '8080')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`GATEWAY_PORT expects a port from 1 to 65535, got "${given}".`)
  }
  if (await isPortFree(port)) return port
  throw new Error(`Port ${port} is in use by another program. Stop that program, or set GATEWAY_PORT to another port.`)
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
