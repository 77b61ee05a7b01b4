import type { AddressInfo } from 'node:net'
import { Registry } from '@prometheus-io/client'
import { BusError, connectBus } from '@tagloom/bus'
import { type CommonEnvironment, commonEnvironment, misconfiguredExitCode, type ServiceName } from '@tagloom/contracts'
import { migrate, openDatabase } from '@tagloom/database'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import Type, { type Static, type TObject, type TProperties } from 'typebox'
import { measureBus } from './bus-metrics.ts'
import { EnvironmentError, readEnvironment, type Variables } from './environment.ts'
import { watchEventLoop } from './event-loop.ts'
import { type Log, openLog } from './log.ts'
import { operations } from './operations.ts'
import { measureOutbox } from './outbox-metrics.ts'
import { createRelay } from './relay.ts'
import type { ServiceDeps } from './service-deps.ts'

/** The configuration of a service: what all read, and its own. */
export type ConfigOf<Own extends TProperties> = CommonEnvironment & Static<TObject<Own>>

export interface ServiceDefinition<Own extends TProperties> {
  readonly name: ServiceName
  /** The service's own variables, beside those that every service reads */
  readonly environment: Own
  /** process.env */
  readonly env: Variables
  /** Builds the app, not listening. Its onReady, preClose and onClose hooks begin and end what the service does beside HTTP. */
  readonly buildApp: (deps: ServiceDeps<ConfigOf<Own>>) => Promise<FastifyInstance> | FastifyInstance
}

/** @throws EnvironmentError */
export const readConfig = <Own extends TProperties>(environment: Own, env: Variables): ConfigOf<Own> =>
  readEnvironment(Type.Object({ ...commonEnvironment, ...environment }), env) as ConfigOf<Own>

const stopWithinMs = 8_000
const databaseWithinMs = 30_000

/**
 * A service, from its variables to its end: reads the configuration, connects, migrates, builds the app, listens, and on SIGTERM or
 * SIGINT stops in order: no more work is pulled, what is in hand is finished or handed back, then HTTP, relay, bus and database close.
 * When it cannot start it says why and exits: with 78 where its variables are wrong, else with 1.
 */
export async function runService<Own extends TProperties>(definition: ServiceDefinition<Own>): Promise<void> {
  const started = performance.now()
  const closers: (() => Promise<unknown> | unknown)[] = []
  let log: (Log & { close(): Promise<void> }) | undefined
  const closeAll = async () => {
    for (const close of closers.reverse()) await close()
  }
  try {
    const config = readConfig(definition.environment, definition.env)
    log = await openLog({
      service: definition.name,
      level: config.LOG_LEVEL,
      format: config.LOG_FORMAT,
      file: config.LOG_FILE,
    })
    stopInOrder(log, closeAll)
    log.event('service_starting', { version: config.TAGLOOM_VERSION, pid: process.pid })
    const deps = await connect(definition.name, config, log, closers)
    const app = await definition.buildApp(deps)
    closers.push(() => app.close())
    await app.register(operations, {
      registry: deps.registry,
      checks: { database: () => deps.db.ping(), nats: () => deps.bus.ping() },
    })
    await app.listen({ host: config.HOST, port: config.PORT })
    const { address, port } = app.server.address() as AddressInfo
    log.event('service_ready', { address: `${address}:${port}`, startup_ms: Math.round(performance.now() - started) })
    tellParent('listening')
  } catch (error) {
    await giveUp(definition, error as NodeJS.ErrnoException, log, closeAll)
  }
}

async function connect<Own extends TProperties>(
  name: ServiceName,
  config: ConfigOf<Own>,
  log: Log,
  closers: (() => Promise<unknown> | unknown)[],
): Promise<ServiceDeps<ConfigOf<Own>>> {
  const registry = new Registry()
  registry.setDefaultLabels({ service: name })
  await migrateWithin(config.DATABASE_URL, databaseWithinMs)
  const db = openDatabase({
    url: config.DATABASE_URL,
    applicationName: `tagloom-${name}`,
    onIdleError: (error) => log.event('connection_lost', { server: 'postgres', reason: error.message }),
  })
  closers.push(() => db.close())
  const bus = await connectBus({
    url: config.NATS_URL,
    name: `tagloom-${name}`,
    prefix: config.NATS_PREFIX,
    log,
    observe: measureBus(registry),
  })
  closers.push(() => bus.close())
  const relay = createRelay({ db, bus, log })
  closers.push(() => relay.stop())
  const loop = watchEventLoop(registry, log)
  closers.push(() => loop.stop())
  measureOutbox(registry, db)
  const stillStarting = (what: string) => tellParent({ starting: what })
  return { name, config, log, db, bus, relay, registry, stillStarting }
}

/** A database that is just starting is waited for; one that refuses is not. */
async function migrateWithin(url: string, withinMs: number): Promise<void> {
  const end = Date.now() + withinMs
  for (;;) {
    try {
      return await migrate(url)
    } catch (error) {
      if ((error as { code?: string }).code !== 'database_unavailable' || Date.now() > end) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

function stopInOrder(log: Log & { close(): Promise<void> }, closeAll: () => Promise<void>): void {
  closeWithGrace(
    {
      delay: stopWithinMs,
      logger: false,
      onTimeout: () =>
        log.event('service_failed', { code: 'stop_timeout', reason: `it did not stop within ${stopWithinMs} ms` }),
    },
    async ({ signal, err }) => {
      const began = performance.now()
      if (err) {
        log.event('service_failed', { code: codeOf(err), reason: reasonOf(err) })
        log.pino.error({ err }, 'uncaught')
      }
      log.event('service_stopping', { reason: signal ?? err?.name ?? 'asked to' })
      await closeAll()
      log.event('service_stopped', { stopped_in_ms: Math.round(performance.now() - began) })
      await log.close()
    },
  )
}

async function giveUp(
  definition: Pick<ServiceDefinition<TProperties>, 'name' | 'env'>,
  error: NodeJS.ErrnoException,
  log: (Log & { close(): Promise<void> }) | undefined,
  closeAll: () => Promise<void>,
): Promise<never> {
  const reason = reasonOf(error, definition.env)
  if (log) {
    log.event('service_failed', { code: codeOf(error), reason })
    if (!isExpected(error)) log.pino.error({ err: error }, 'the service could not start')
  } else process.stderr.write(`${definition.name}: ${reason}\n`)
  const exitCode = error instanceof EnvironmentError ? misconfiguredExitCode : 1
  const timer = setTimeout(() => process.exit(exitCode), stopWithinMs)
  await closeAll().catch(() => {})
  await log?.close()
  clearTimeout(timer)
  process.exit(exitCode)
}

/** Whoever started the process with a channel learns what it waits for and that it has the port; a parent that is gone needs to know nothing. */
function tellParent(news: 'listening' | { readonly starting: string }): void {
  process.send?.(news, () => {})
}

const isExpected = (error: NodeJS.ErrnoException): boolean =>
  error instanceof BusError ||
  error instanceof EnvironmentError ||
  ['database_unavailable', 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(error.code ?? '')

const codeOf = (error: Error): string => String((error as { code?: unknown }).code ?? error.name).slice(0, 100)

function reasonOf(error: NodeJS.ErrnoException, env: Variables = {}): string {
  if (error.code === 'EADDRINUSE')
    return `port ${env.PORT} at ${env.HOST ?? '127.0.0.1'} is in use: stop what listens there, or set PORT to another`
  return error.message.slice(0, 2_000)
}
