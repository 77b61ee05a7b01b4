import { execFile } from 'node:child_process'
import { accessSync, constants, mkdirSync, renameSync } from 'node:fs'
import { homedir, platform } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { downloadNatsServer } from './download-nats-server.ts'
import { LocalServerError } from './local-server-error.ts'
import { isAtLeast, OLDEST_NATS } from './nats-info.ts'

const run = promisify(execFile)

/** The release that is fetched when the machine has none. */
export const PINNED_NATS = '2.15.2'
const RELEASES = 'https://github.com/nats-io/nats-server/releases/download'

export interface FindOptions {
  env: Record<string, string | undefined>
  /** One line for the person who waits, before anything slow. */
  say?: (line: string) => void
  /** Where releases lie; tests point it at a server of their own. */
  releases?: string
  connectTimeoutMs?: number
}

/**
 * The path of a nats-server of at least 2.11, looked for in this order: PATH, Go's binary folders, our cache; then
 * the pinned release is downloaded into the cache; then built there by `go install`.
 */
export async function findNatsServer(options: FindOptions): Promise<string> {
  const cache = cacheFolder(options.env)
  const tooOld: string[] = []
  for (const folder of [...searchFolders(options.env), cache]) {
    const program = join(folder, programName())
    const version = await versionOf(program)
    if (version === undefined) continue
    if (isAtLeast(version, OLDEST_NATS)) return program
    tooOld.push(`${program} is ${version}`)
  }
  const failures: string[] = [...tooOld]
  for (const obtain of [download, build]) {
    try {
      return await obtain(cache, options)
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new LocalServerError(
    tooOld.length > 0 ? 'nats_server_too_old' : 'nats_server_missing',
    `Expected a nats-server ${OLDEST_NATS} or later, found none that can be used:\n` +
      `${failures.map((line) => `  - ${line}`).join('\n')}\n` +
      'Put nats-server on PATH (https://nats.io/download), or set NATS_URL to a server with JetStream.',
  )
}

function programName(): string {
  return platform() === 'win32' ? 'nats-server.exe' : 'nats-server'
}

function searchFolders(env: FindOptions['env']): string[] {
  const goPaths = (env.GOPATH ?? join(env.HOME ?? homedir(), 'go')).split(delimiter)
  return [...(env.PATH ?? '').split(delimiter), env.GOBIN ?? '', ...goPaths.map((path) => join(path, 'bin'))].filter(
    (folder) => folder !== '',
  )
}

function cacheFolder(env: FindOptions['env']): string {
  return join(env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), '.cache'), 'tagloom', `nats-server-${PINNED_NATS}`)
}

/** "2.15.2" as the program itself says it; undefined when it is not there or does not run. */
async function versionOf(program: string): Promise<string | undefined> {
  try {
    accessSync(program, constants.X_OK)
    const { stdout } = await run(program, ['--version'], { timeout: 10_000 })
    return /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
  } catch {
    return undefined
  }
}

async function download(cache: string, options: FindOptions): Promise<string> {
  options.say?.(`fetching nats-server ${PINNED_NATS} (once; kept in ${cache})`)
  const program = join(cache, programName())
  await downloadNatsServer({
    base: `${options.releases ?? RELEASES}/v${PINNED_NATS}`,
    version: PINNED_NATS,
    target: program,
    connectTimeoutMs: options.connectTimeoutMs ?? 15_000,
  })
  return verified(program)
}

async function build(cache: string, options: FindOptions): Promise<string> {
  const module = `github.com/nats-io/nats-server/v2@v${PINNED_NATS}`
  options.say?.(`building nats-server ${PINNED_NATS} with Go (once; kept in ${cache})`)
  const folder = `${cache}.${process.pid}`
  try {
    const env = { ...options.env, CGO_ENABLED: '0', GOBIN: folder }
    await run('go', ['install', module], { timeout: 300_000, env, maxBuffer: 16 << 20 })
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const said = (cause as { stderr?: string }).stderr?.trim().split('\n').at(-1)
    const reason = missing ? 'Go is not installed' : said || String(cause)
    throw new LocalServerError('nats_server_missing', `go install ${module}: ${reason}`, { cause })
  }
  const program = join(cache, programName())
  mkdirSync(cache, { recursive: true })
  renameSync(join(folder, programName()), program)
  return verified(program)
}

async function verified(program: string): Promise<string> {
  const version = await versionOf(program)
  if (version === PINNED_NATS) return program
  throw new LocalServerError(
    'nats_server_missing',
    `${program} says it is ${version ?? 'no program that runs here'}, expected ${PINNED_NATS}`,
  )
}
