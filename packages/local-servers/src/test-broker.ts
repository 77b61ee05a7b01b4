import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { containerServer } from './containers.ts'
import { findNatsServer } from './find-nats-server.ts'
import type { ManagedServer } from './managed-server.ts'
import { localNats } from './nats.ts'
import { embeddedPostgres } from './postgres.ts'
import { endRecorded, isAlive, startMarkOf } from './process-identity.ts'
import { adminUrl, checkNats, checkPostgres, withClient } from './reach.ts'
import { findRedisServer, localRedis } from './redis.ts'

export type ServerKind = 'postgres' | 'nats' | 'redis'
export type BrokerAnswer = { url: string; id?: string } | { unavailable: string }

type Env = Record<string, string | undefined>
const HOME_PREFIX = 'tagloom-test-'

/**
 * Owns every server of one test run. Test files run in processes of their own and ask over HTTP:
 *
 *   GET  /KIND                 the shared server of the run, started when the first file asks
 *   POST /KIND                 a private one, answered with its id
 *   POST /ID/start|stop|kill|wipe
 *
 * So a run of pure tests starts nothing, and a worker that dies leaves nothing behind.
 */
export class TestBroker {
  readonly runId = `t${randomBytes(4).toString('hex')}`
  readonly #env: Env
  readonly #home: string
  readonly #shared = new Map<ServerKind, Promise<BrokerAnswer>>()
  readonly #owned = new Map<string, ManagedServer>()
  readonly #http: Server
  #private = 0

  constructor(env: Env) {
    this.#env = env
    this.#home = mkdtempSync(join(tmpdir(), HOME_PREFIX))
    chmodSync(this.#home, 0o755)
    writeFileSync(join(this.#home, 'owner'), `${process.pid} ${startMarkOf(process.pid)}`)
    this.#http = createServer((request, response) => {
      this.#answer(request).then(
        (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        (error: Error) => response.writeHead(500).end(error.message),
      )
    })
  }

  async listen(): Promise<string> {
    await sweepOrphans(this.#home)
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections()
    await new Promise((resolve) => this.#http.close(resolve))
    if (this.#env.DATABASE_URL) await this.#dropDatabases(this.#env.DATABASE_URL)
    await Promise.all([...this.#owned.values()].map((server) => server.wipe()))
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }

  async #answer(request: IncomingMessage): Promise<BrokerAnswer | Record<string, never>> {
    const [, target = '', action] = (request.url ?? '').split('/')
    if (target === 'postgres' || target === 'nats' || target === 'redis') {
      return request.method === 'POST' ? this.#startPrivate(target) : this.#startShared(target)
    }
    const server = this.#owned.get(target)
    if (server === undefined) throw new Error(`expected the id of a private server, got "${target}"`)
    if (action !== 'start' && action !== 'stop' && action !== 'kill' && action !== 'wipe') {
      throw new Error(`expected start, stop, kill or wipe, got "${action}"`)
    }
    await server[action]()
    return {}
  }

  #startShared(kind: ServerKind): Promise<BrokerAnswer> {
    const known = this.#shared.get(kind)
    if (known !== undefined) return known
    const started = this.#given(kind) ?? this.#startOwned(kind, kind, this.#home)
    this.#shared.set(kind, started)
    return started
  }

  /** The server that the environment names is used as it is, after a look at whether it can be. */
  #given(kind: ServerKind): Promise<BrokerAnswer> | undefined {
    const url = { postgres: this.#env.DATABASE_URL, nats: this.#env.NATS_URL, redis: this.#env.REDIS_URL }[kind]
    if (!url) return undefined
    const check = { postgres: checkPostgres, nats: checkNats, redis: async () => undefined }[kind]
    return check(url).then(() => ({ url }))
  }

  #startPrivate(kind: ServerKind): Promise<BrokerAnswer> {
    const id = `private-${++this.#private}`
    return this.#startOwned(kind, id, join(this.#home, id))
  }

  async #startOwned(kind: ServerKind, id: string, home: string): Promise<BrokerAnswer> {
    const server = await this.#create(kind, home)
    if (server === undefined) {
      return {
        unavailable: 'no redis-server is on PATH and REDIS_URL is not set (Debian: apt-get install redis-server)',
      }
    }
    this.#owned.set(id, server)
    await server.start()
    return { url: server.url, id }
  }

  async #create(kind: ServerKind, home: string): Promise<ManagedServer | undefined> {
    if (this.#env.TEST_SERVERS === 'containers') return containerServer(kind)
    if (kind === 'postgres') return embeddedPostgres({ home, durable: false })
    if (kind === 'nats') {
      const program = await findNatsServer({ env: this.#env, say: (line) => console.log(line) })
      return localNats({ home, program })
    }
    const program = findRedisServer(this.#env)
    return program === undefined ? undefined : localRedis(program, home)
  }

  async #dropDatabases(url: string): Promise<void> {
    await withClient(adminUrl(url), async (client) => {
      const mine = await client.query<{ datname: string }>(
        'select datname from pg_database where starts_with(datname, $1)',
        [this.runId],
      )
      for (const { datname } of mine.rows) await client.query(`drop database if exists "${datname}" with (force)`)
    })
  }
}

/** A run that was killed could not clean up: its folder names its process, and its servers carry the folder's name. */
async function sweepOrphans(ownHome: string): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const home = join(tmpdir(), name)
    if (!name.startsWith(HOME_PREFIX) || home === ownHome || isOwned(home)) continue
    for (const folder of [home, ...privateHomes(home)]) {
      const data = join(folder, 'postgres', 'data')
      const nats = join(folder, 'nats')
      await endRecorded(join(data, 'postmaster.pid'), data, 'SIGQUIT')
      await endRecorded(join(nats, 'nats-server.pid'), join(nats, 'nats-server.conf'), 'SIGTERM')
    }
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

function isOwned(home: string): boolean {
  try {
    const [pid = '', mark] = readFileSync(join(home, 'owner'), 'utf8').split(/ (.*)/s)
    return isAlive(Number(pid)) && startMarkOf(Number(pid)) === mark
  } catch {
    // The folder of a run that is just beginning has no owner yet; one that never gets one is empty.
    return true
  }
}

function privateHomes(home: string): string[] {
  return readdirSync(home)
    .filter((name) => name.startsWith('private-'))
    .map((name) => join(home, name))
}
