import { mkdirSync } from 'node:fs'
import { findNatsServer } from './find-nats-server.ts'
import { lockHome } from './home-lock.ts'
import type { ManagedServer } from './managed-server.ts'
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
  /** Ends what was started here, in order, and gives the home free; servers from outside are left alone. */
  stop(): Promise<void>
}

/** PostgreSQL and NATS: those the environment names, else our own in `home`. */
export async function startServers(options: StartOptions): Promise<StartedServers> {
  mkdirSync(options.home, { recursive: true, mode: 0o755 })
  const unlock = lockHome(options.home)
  const ours: ManagedServer[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(ours.map((server) => server.stop()))
    unlock()
  }
  try {
    const [databaseUrl, natsUrl] = await settled([postgres(options, ours), nats(options, ours)])
    return { databaseUrl: databaseUrl!, natsUrl: natsUrl!, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function postgres({ env, home, durable = true }: StartOptions, ours: ManagedServer[]): Promise<string> {
  if (env.DATABASE_URL) {
    await checkPostgres(env.DATABASE_URL)
    return env.DATABASE_URL
  }
  const server = await embeddedPostgres({ home, durable })
  ours.push(server)
  await server.start()
  return server.url
}

async function nats({ env, home, say }: StartOptions, ours: ManagedServer[]): Promise<string> {
  if (env.NATS_URL) {
    await checkNats(env.NATS_URL)
    return env.NATS_URL
  }
  const program = await findNatsServer({ env, ...(say && { say }) })
  const server = await localNats({ home, program })
  ours.push(server)
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
