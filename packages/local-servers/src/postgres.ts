import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { LocalServerError } from './local-server-error.ts'
import type { OwnServer } from './managed-server.ts'
import { installedPostgres, reachablePostgres } from './postgres-binaries.ts'
import { endRecorded } from './process-identity.ts'
import { adminUrl, answersQuery, withClient } from './reach.ts'
import { ServerProcess } from './server-process.ts'
import { canReach, type UnprivilegedUser, unprivilegedUser } from './unprivileged-user.ts'

const run = promisify(execFile)
const MAJOR = '18'
const USER = 'tagloom'
const START_ATTEMPTS = 5

export interface PostgresOptions {
  /** An absolute folder: `postgres/` in it holds the data, the log and the remembered port and password. */
  home: string
  /** False for tests: nothing is forced to disk, a power cut loses the data. */
  durable: boolean
  /** Recovery after a crash counts into it. */
  startTimeoutMs?: number
}

interface Connection {
  port: number
  password: string
}

/** PostgreSQL 18 from the installed packages, on 127.0.0.1 alone; the same folder gives the same port and data again. */
export async function embeddedPostgres(options: PostgresOptions): Promise<OwnServer> {
  const user = unprivilegedUser()
  const binaries = reachablePostgres(await installedPostgres(), user)
  const folder = join(options.home, 'postgres')
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const dataFolder = dataFolderFor(folder, user)
  const connection = await rememberedConnection(join(folder, 'connection.json'))
  const startTimeoutMs = options.startTimeoutMs ?? 60_000
  const url = `postgres://${USER}:${connection.password}@127.0.0.1:${connection.port}/${USER}`
  const pidFile = join(dataFolder, 'postmaster.pid')
  let server: ServerProcess | undefined

  async function launch(): Promise<void> {
    const args = ['-D', dataFolder, '-p', String(connection.port), ...settings(options.durable)]
    const started = await ServerProcess.spawn({
      command: binaries.postgres,
      args,
      logFile: join(folder, 'postgres.log'),
      user,
    })
    server = started
    if (await isServing(url, started, startTimeoutMs)) return
    const tail = started.logTail()
    await started.end('SIGQUIT', 5_000)
    throw new LocalServerError('server_did_not_start', `PostgreSQL did not start. Its last words:\n${tail}`)
  }

  return {
    url,
    async start() {
      if (server !== undefined && !server.exited) return
      if (!(await endRecorded(pidFile, dataFolder, 'SIGINT'))) rmSync(pidFile, { force: true })
      if (!existsSync(join(dataFolder, 'PG_VERSION'))) {
        await initialise(binaries.initdb, dataFolder, connection.password, user, options.durable)
      }
      checkDataVersion(dataFolder)
      // After a SIGKILL its children need a moment to notice; until then a new server refuses the shared memory.
      for (let attempt = 1; ; attempt++) {
        try {
          await launch()
          break
        } catch (error) {
          if (attempt === START_ATTEMPTS || !isPassing(error)) throw error
          await delay(200 * attempt)
        }
      }
      await ensureDatabase(url)
    },
    async whenExited() {
      await server?.whenExited
    },
    async stop() {
      await server?.end('SIGINT', 3_500)
    },
    async kill() {
      await server?.kill()
    },
    async wipe() {
      await server?.kill()
      rmSync(dataFolder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
}

/** fast shutdown on SIGINT; small memory, since a laptop runs this beside five services. */
function settings(durable: boolean): string[] {
  const values: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: durable ? '256MB' : '64MB',
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_wal_size: '2GB',
    jit: 'off',
    log_min_messages: 'warning',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Where the unprivileged user cannot reach the home (a clone under /root), its data lies in /var/lib, and a file in the
 * home says where. A home that was deleted begins anew: nobody else's data is ever taken up or removed.
 */
function dataFolderFor(folder: string, user: UnprivilegedUser | undefined): string {
  if (user === undefined || canReach(user, folder)) return join(folder, 'data')
  const note = join(folder, 'data-is-at.txt')
  if (existsSync(note)) return readFileSync(note, 'utf8').trim()
  const away = join('/var/lib/tagloom', randomBytes(6).toString('hex'), 'data')
  mkdirSync(dirname(away), { recursive: true, mode: 0o755 })
  writeFileSync(note, `${away}\n`)
  return away
}

async function rememberedConnection(file: string): Promise<Connection> {
  let known: Partial<Connection> = {}
  try {
    known = JSON.parse(readFileSync(file, 'utf8')) as Partial<Connection>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && !(error instanceof SyntaxError)) throw error
  }
  const connection = {
    port: await freePort(known.port),
    password: known.password ?? randomBytes(18).toString('base64url'),
  }
  writeFileSync(file, `${JSON.stringify(connection)}\n`, { mode: 0o600 })
  return connection
}

/** initdb into a folder beside, then a rename: a start killed half-way leaves nothing that looks like a database. */
async function initialise(
  initdb: string,
  dataFolder: string,
  password: string,
  user: UnprivilegedUser | undefined,
  durable: boolean,
): Promise<void> {
  const fresh = join(`${dataFolder}.new`)
  const passwordFile = `${dataFolder}.password`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { mode: 0o700 })
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  if (user !== undefined) for (const path of [fresh, passwordFile]) chownSync(path, user.uid, user.gid)
  const args = [`--pgdata=${fresh}`, `--username=${USER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
  args.push('--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8')
  try {
    await run(initdb, durable ? args : [...args, '--no-sync'], {
      timeout: 120_000,
      cwd: dirname(dataFolder),
      env: { LC_ALL: 'C', TZ: 'UTC' },
      ...(user && { uid: user.uid, gid: user.gid }),
    })
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim()
    throw new LocalServerError('server_did_not_start', `PostgreSQL's initdb failed: ${said || String(cause)}`, {
      cause,
    })
  } finally {
    rmSync(passwordFile, { force: true })
  }
  chmodSync(fresh, 0o700)
  renameSync(fresh, dataFolder)
}

function checkDataVersion(dataFolder: string): void {
  const version = readFileSync(join(dataFolder, 'PG_VERSION'), 'utf8').trim()
  if (version === MAJOR) return
  throw new LocalServerError(
    'data_unusable',
    `${dataFolder} holds data of PostgreSQL ${version}, expected ${MAJOR}. ` +
      'Move the folder away to begin anew, or set DATABASE_URL to the server that can read it.',
  )
}

async function isServing(url: string, server: ServerProcess, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (!server.exited && Date.now() < deadline) {
    if (await answersQuery(adminUrl(url))) return true
    await delay(50)
  }
  return false
}

function isPassing(error: unknown): boolean {
  return error instanceof LocalServerError && /pre-existing shared memory|postmaster\.pid/.test(error.message)
}

async function ensureDatabase(url: string): Promise<void> {
  await withClient(adminUrl(url), async (client) => {
    const found = await client.query('select 1 from pg_database where datname = $1', [USER])
    if (found.rowCount === 0) await client.query(`create database ${USER}`)
  })
}
