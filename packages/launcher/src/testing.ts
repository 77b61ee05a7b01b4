import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Job, JobOptions, ServiceName } from '@tagloom/contracts'
import { migrate } from '@tagloom/database'
import { freePort } from '@tagloom/local-servers'
import { createTestDatabase, testEnvironment, testPrefix, useServers } from '@tagloom/local-servers/testing'
import { fiveServices } from './five-services.ts'
import { GatewayClient } from './gateway-client.ts'
import type { SupervisedService } from './supervised-service.ts'
import { Supervisor } from './supervisor.ts'
import { type WikiSource, wikiAt } from './wiki-source.ts'

export { demoWiki } from './demo-wiki.ts'
export type { GatewayClient, JobNews } from './gateway-client.ts'
export { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts'
export type { SupervisedService } from './supervised-service.ts'
export { type WikiSource, wikiAt } from './wiki-source.ts'

export interface TestSystemOptions {
  replicas?: Partial<Record<ServiceName, number>>
  /** Added to what every service gets; NATS_URL and DATABASE_URL here replace the run's shared servers. */
  env?: Record<string, string>
}

export interface TestSystem {
  client: GatewayClient
  databaseUrl: string
  natsUrl: string
  /** NATS_PREFIX of the five services. */
  prefix: string
  /** By "tagger", "tagger-2" and so on: `.kill()` is SIGKILL, and the supervisor starts it again. */
  service(name: string): SupervisedService
  /** Imports a wiki, or the one at a path, and runs a job on it to its end. */
  tag(wiki: string | WikiSource, name?: string): Promise<{ wikiId: number; job: Job }>
  /** Imports a wiki. @returns its id */
  import(source: WikiSource): Promise<number>
  /** Runs a job to its end. */
  run(wikiId: number, options?: JobOptions): Promise<Job>
  /** A request of the REST API. @param path behind /api  @param body what becomes JSON, or lines of NDJSON */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  call(method: 'GET' | 'POST', path: string, body?: object | string): Promise<{ status: number; body: any }>
  stop(): Promise<void>
}

/** The whole of Tagloom for a test: five service processes under the supervisor, a database and a prefix of its own. */
export async function startTestSystem(options: TestSystemOptions = {}): Promise<TestSystem> {
  const servers = await useServers()
  const database = await createTestDatabase({ name: 'migrated', build: migrate })
  const logFolder = mkdtempSync(join(tmpdir(), 'tagloom-system-'))
  const gatewayPort = await freePort()
  const settings = {
    root: join(import.meta.dirname, '..', '..', '..'),
    databaseUrl: options.env?.DATABASE_URL ?? database.url,
    natsUrl: options.env?.NATS_URL ?? servers.natsUrl,
    gatewayPort,
    apiKey: 'a-key-for-tests-alone',
    ...(options.replicas && { replicas: options.replicas }),
  }
  const prefix = testPrefix()
  const env = { ...testEnvironment(), NATS_PREFIX: prefix, ...options.env }
  const said: string[] = []
  const policy = { mostDeaths: 20, healthyAfterMs: 5_000 }
  const supervisor = new Supervisor({ logFolder, say: (line) => said.push(line), policy })
  for (const spec of await fiveServices({ ...settings, env })) supervisor.start(spec)
  const stop = async (): Promise<void> => {
    await supervisor.stop(10_000)
    await database.drop()
    rmSync(logFolder, { recursive: true, force: true })
  }
  try {
    await supervisor.whenReady(60_000)
  } catch (error) {
    await stop()
    throw error
  }
  const client = new GatewayClient(`http://127.0.0.1:${gatewayPort}`, settings.apiKey)
  const importWiki = async (source: WikiSource): Promise<number> => {
    const signal = AbortSignal.timeout(900_000)
    const wiki = await client.wikiNamed(source.name, signal)
    await client.importPages(wiki.id, () => source.lines(), { replace: true, signal })
    return wiki.id
  }
  const run = async (wikiId: number, jobOptions: JobOptions = {}): Promise<Job> => {
    const signal = AbortSignal.timeout(900_000)
    const requested = await client.createJob(wikiId, signal, jobOptions)
    for await (const news of client.jobNews(requested.id, signal)) if (news.kind === 'ended') return news.job
    throw new Error(`job ${requested.id} did not end. The supervisor said:\n${said.join('\n')}`)
  }
  return {
    client,
    databaseUrl: settings.databaseUrl,
    natsUrl: settings.natsUrl,
    prefix,
    stop,
    service(name) {
      const found = supervisor.services.find((service) => service.spec.name === name)
      if (found === undefined)
        throw new Error(`expected one of ${supervisor.services.map((s) => s.spec.name)}, got ${name}`)
      return found
    },
    async tag(given, name) {
      const wikiId = await importWiki(typeof given === 'string' ? await wikiAt(given, name ?? given) : given)
      return { wikiId, job: await run(wikiId) }
    },
    import: importWiki,
    run,
    async call(method, path, body) {
      const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json'
      const response = await fetch(`${client.base}/api${path}`, {
        method,
        headers: { authorization: `Bearer ${client.key}`, ...(body !== undefined && { 'content-type': type }) },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      })
      return { status: response.status, body: await response.json() }
    },
  }
}
