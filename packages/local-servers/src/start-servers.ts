import { mkdirSync } from 'node:fs'
import { findNatsServer } from './find-nats-server.ts'
import { lockHome } from './home-lock.ts'
import { keepUp } from './keep-up.ts'
import type { OwnServer } from './managed-server.ts'
import { localNats } from './nats.ts'
import { embeddedPostgres } from './postgres.ts'
import { checkNats, checkPostgres } from './reach.ts'

export interface StartOptions {
  /** An absolute folder that keeps the data between starts. One start at a time may have it. */
  home: string
  /** DATABASE_URL and NATS_URL name servers to use instead; PATH, HOME and Go's variables say where to look. */
  env: Record<string, string | undefined>
  /** One line for the person who waits. */
  say?: (line: string) => void
  /** False for tests: nothing is forced to disk. */
  durable?: boolean
}

export interface StartedServers {
  databaseUrl: string
  natsUrl: string
  /** Rejects when a server that was started here keeps ending, or does not start again; never resolves. */
  givenUp: Promise<never>
  /** Ends what was started here, in order, and gives the home free; servers from outside are left alone. */
  stop(): Promise<void>
}

interface NamedServer {
  readonly name: string
  readonly server: OwnServer
}

/** PostgreSQL and NATS: those the environment names, else our own in `home`, which are started again when they end unasked. */
export async function startServers(options: StartOptions): Promise<StartedServers> {
  mkdirSync(options.home, { recursive: true, mode: 0o755 })
  const unlock = lockHome(options.home)
  const ours: NamedServer[] = []
  const stopping = new AbortController()
  let kept: Promise<unknown> = Promise.resolve()
  const stop = async (): Promise<void> => {
    stopping.abort()
    await Promise.all(ours.map(({ server }) => server.stop()))
    // One that was being started again at this moment is stopped too.
    await kept
    await Promise.all(ours.map(({ server }) => server.stop()))
    unlock()
  }
  try {
    const [databaseUrl, natsUrl] = await settled([postgres(options, ours), nats(options, ours)])
    const say = options.say ?? (() => {})
    const keeping = ours.map(({ name, server }) => keepUp(server, { name, say, signal: stopping.signal }))
    kept = Promise.allSettled(keeping)
    const givenUp = new Promise<never>((_, reject) => {
      for (const each of keeping) each.catch(reject)
    })
    givenUp.catch(() => undefined)
    return { databaseUrl: databaseUrl!, natsUrl: natsUrl!, givenUp, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function postgres({ env, home, durable = true }: StartOptions, ours: NamedServer[]): Promise<string> {
  if (env.DATABASE_URL) {
    await checkPostgres(env.DATABASE_URL)
    return env.DATABASE_URL
  }
  const server = await embeddedPostgres({ home, durable })
  ours.push({ name: 'PostgreSQL', server })
  await server.start()
  return server.url
}

async function nats({ env, home, say }: StartOptions, ours: NamedServer[]): Promise<string> {
  if (env.NATS_URL) {
    await checkNats(env.NATS_URL)
    return env.NATS_URL
  }
  const program = await findNatsServer({ env, ...(say && { say }) })
  const server = await localNats({ home, program })
  ours.push({ name: 'nats-server', server })
  await server.start()
  return server.url
}

/** Waits for all of them before it throws, so that nothing starts after the clean-up. */
async function settled<T>(promises: Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return results.map((result) => (result as PromiseFulfilledResult<T>).value)
}
