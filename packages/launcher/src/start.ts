import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { migrate } from '@tagloom/database'
import { isPortFree, type StartedServers, startServers } from '@tagloom/local-servers'
import { ownApiKey } from './api-key.ts'
import { demoWiki } from './demo-wiki.ts'
import { fiveServices } from './five-services.ts'
import { GatewayClient } from './gateway-client.ts'
import { type Output, ProgressView } from './progress-view.ts'
import { addressLines, alertLines, clusterLines, importLines, type LatestRecord, recordLines } from './report.ts'
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
  try {
    say('Starting PostgreSQL and NATS …')
    servers = await startServers({ home, env: context.env, say: (line) => say(`  ${line}`) })
    context.signal.throwIfAborted()
    await migrate(servers.databaseUrl)
    say('Starting five services …')
    const { databaseUrl, natsUrl } = servers
    const settings = { root: context.root, env: context.env, databaseUrl, natsUrl, gatewayPort, apiKey }
    for (const spec of await fiveServices(settings)) supervisor.start(spec)
    await supervisor.whenReady(READY_TIMEOUT_MS, context.signal)

    const client = new GatewayClient(`http://127.0.0.1:${gatewayPort}`, apiKey)
    const code = await Promise.race([tagWiki(client, source, view, say, context.signal), supervisor.givenUp])
    if (options.once) return code
    say('\nServing until Ctrl-C.')
    await Promise.race([untilAborted(context.signal), supervisor.givenUp])
    return code
  } finally {
    if (supervisor.services.length > 0) say('Stopping …')
    await supervisor.stop(SERVICES_GRACE_MS)
    await servers?.stop()
  }
}

async function tagWiki(
  client: GatewayClient,
  source: WikiSource,
  view: ProgressView,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const all = (lines: string[]): void => lines.forEach(say)
  const wiki = await client.wikiNamed(source.name, signal)
  say(`Tagging the wiki "${source.name}"${source.pageCount === undefined ? '' : `, ${source.pageCount} pages`} …`)
  const report = await importWiki(client, wiki.id, source, view, signal)
  for (const line of importLines(report, source.pageOnLine)) view.note(line)
  for (const { page, reason } of source.skipped) view.note(`  left out: ${page}: ${reason}`)
  const job = await runJob(client, wiki.id, view, signal)
  if (job.status === 'completed') {
    const record = await recordOf(client, wiki.id, job.id, signal)
    all(
      record === undefined
        ? ['\nThe run record is not there yet: ask its address below in a moment.']
        : recordLines(record),
    )
    all(clusterLines(await client.clusters(wiki.id, signal)))
    all(alertLines(await client.firingAlerts(wiki.id, signal)))
  } else {
    say(`\nThe job ${job.id} ${job.status}: ${job.failure?.reason ?? 'no reason was given'}`)
  }
  all(addressLines(client.base, wiki.id, client.key))
  return job.status === 'completed' ? 0 : 1
}

/** The aggregator folds the last samples when the job has completed: a moment later than the job's own end. */
async function recordOf(
  client: GatewayClient,
  wikiId: number,
  jobId: string,
  signal: AbortSignal,
): Promise<LatestRecord | undefined> {
  const deadline = Date.now() + RECORD_TIMEOUT_MS
  do {
    const { latest_clustering: latest } = await client.clusterMetrics(wikiId, signal)
    if (latest?.job_id === jobId) return latest
    await delay(200, undefined, { signal })
  } while (Date.now() < deadline)
  return undefined
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
