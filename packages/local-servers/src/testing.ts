import { createHash, randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { adminUrl, withClient } from './reach.ts'
import type { BrokerAnswer, ServerKind } from './test-broker.ts'
import type {} from './vitest-global-setup.ts'

export interface TestServers {
  /** The run's PostgreSQL; tests make databases in it and leave this one alone. */
  databaseUrl: string
  natsUrl: string
}

/** The run's shared servers, started when the first file asks. Works within vitest only. */
export async function useServers(): Promise<TestServers> {
  const [databaseUrl, natsUrl] = await Promise.all([sharedUrl('postgres'), sharedUrl('nats')])
  return { databaseUrl, natsUrl }
}

/** PATH and HOME of whoever runs the tests, and nothing else of the environment: for processes that a test starts. */
export function testEnvironment(): { PATH: string; HOME: string } {
  return inject('testEnvironment')
}

/** The run's Redis, or why there is none: hand the reason to `context.skip`, so that the report says it. */
export async function useRedis(): Promise<{ url: string } | { unavailable: string }> {
  return ask('GET', 'redis')
}

export interface DatabaseTemplate {
  /** Letters and digits: what `build` makes. Each name is built once for each run. */
  name: string
  /** Fills the empty database at `url` and closes its connections. */
  build(url: string): Promise<void>
}

export interface TestDatabase {
  url: string
  drop(): Promise<void>
}

/** A database of the file's own, empty or a copy of a template; what nobody drops goes with the run. */
export async function createTestDatabase(template?: DatabaseTemplate): Promise<TestDatabase> {
  const server = await sharedUrl('postgres')
  const name = `${inject('testRunId')}_${randomBytes(5).toString('hex')}`
  const from = template && (await ensureTemplate(server, template))
  await admin(server, `create database "${name}"${from ? ` template "${from}"` : ''}`)
  return {
    url: databaseUrl(server, name),
    drop: () => admin(server, `drop database if exists "${name}" with (force)`),
  }
}

/** A word no other file has, fit for stream names and subjects: `t3f9a0c21_5b1e09`. */
export function testPrefix(): string {
  return `${inject('testRunId')}_${randomBytes(3).toString('hex')}`
}

export interface PrivateServer {
  url: string
  start(): Promise<void>
  /** In order. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Kills it and deletes its data; `start()` gives an empty one at the same url. */
  wipe(): Promise<void>
  /** Stops and starts it: same url, same data. */
  restart(): Promise<void>
}

/** A nats-server that no other test file sees, for tests that stop, kill or wipe it. It ends with the run at the latest. */
export function startPrivateNats(): Promise<PrivateServer> {
  return startPrivate('nats')
}

/** A PostgreSQL that no other test file sees, for tests that stop, kill or wipe it. It ends with the run at the latest. */
export function startPrivatePostgres(): Promise<PrivateServer> {
  return startPrivate('postgres')
}

async function startPrivate(kind: ServerKind): Promise<PrivateServer> {
  const answer = await ask('POST', kind)
  if ('unavailable' in answer || answer.id === undefined) throw new Error(`no private ${kind} came from the broker`)
  const { url, id } = answer
  const order = async (action: string): Promise<void> => void (await ask('POST', `${id}/${action}`))
  return {
    url,
    start: () => order('start'),
    stop: () => order('stop'),
    kill: () => order('kill'),
    wipe: () => order('wipe'),
    async restart() {
      await order('stop')
      await order('start')
    },
  }
}

/** Built under an advisory lock of the server: files that start together make it once. */
async function ensureTemplate(server: string, template: DatabaseTemplate): Promise<string> {
  const name = `${inject('testRunId')}_tpl_${template.name}`
  const lock = createHash('sha256').update(name).digest().readInt32BE(0)
  await withClient(adminUrl(server), async (client) => {
    await client.query('select pg_advisory_lock($1)', [lock])
    const found = await client.query('select 1 from pg_database where datname = $1', [name])
    if (found.rowCount !== 0) return
    const draft = `${name}_draft`
    await client.query(`drop database if exists "${draft}" with (force)`)
    await client.query(`create database "${draft}"`)
    await template.build(databaseUrl(server, draft))
    await client.query(`alter database "${draft}" rename to "${name}"`)
  })
  return name
}

async function admin(server: string, statement: string): Promise<void> {
  await withClient(adminUrl(server), (client) => client.query(statement))
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function sharedUrl(kind: ServerKind): Promise<string> {
  const answer = await ask('GET', kind)
  if ('unavailable' in answer) throw new Error(`${kind}: ${answer.unavailable}`)
  return answer.url
}

async function ask(method: 'GET' | 'POST', path: string): Promise<BrokerAnswer> {
  const broker = inject('testBroker')
  const response = await fetch(`${broker}/${path}`, { method, signal: AbortSignal.timeout(120_000) })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as BrokerAnswer
}
