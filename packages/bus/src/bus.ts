import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, errors, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import type { DataOf, EventDeclaration, OutgoingMessage } from '@tagloom/contracts'
import { type ConsumeOptions, type Consumption, consume } from './consume.ts'
import { type BatchConsumption, type BatchHandler, type BatchOptions, consumeBatches } from './consume-batches.ts'
import type { BusCore, BusLog, Observation } from './core.ts'
import { type DeadLetter, readDeadLetters, redrive } from './dead-letters.ts'
import type { Handler } from './deliver.ts'
import { BusError } from './errors.ts'
import { type Followed, type FollowOptions, follow } from './follow.ts'
import { type KeyValue, openKeyValue } from './key-value.ts'
import { namesFor } from './names.ts'
import { pause } from './pause.ts'
import { reconcileStreams } from './streams.ts'

export interface BusOptions {
  readonly url: string
  /** Shown in the server's list of connections */
  readonly name: string
  /** Prefix of streams and subjects, so that several installations share a server */
  readonly prefix?: string
  readonly log?: BusLog
  readonly observe?: (observation: Observation) => void
  /** Most time for the first connection */
  readonly connectTimeoutMs?: number
}

export interface Backlog {
  readonly durable: string
  /** In the stream, never delivered */
  readonly pending: number
  /** Delivered, not yet acknowledged */
  readonly inFlight: number
}

export interface Bus {
  /** Publishes once and waits until the server has it. The same message id again, within two minutes, is dropped by the server. */
  publish(message: OutgoingMessage): Promise<void>
  consume<E extends EventDeclaration>(options: ConsumeOptions<E>, handler: Handler<E>): Promise<Consumption>
  /** Many small messages at a time, stored together and acknowledged together */
  consumeBatches<E extends EventDeclaration, Field extends string & keyof DataOf<E>, Kept>(
    options: BatchOptions<E, Field, Kept>,
    handler: BatchHandler<Kept>,
  ): Promise<BatchConsumption>
  /** Events as they come, to this process alone */
  follow(options: FollowOptions): AsyncGenerator<Followed>
  openKeyValue(bucket: string, options: { readonly ttlMs: number }): Promise<KeyValue>
  /** What waits and what is in flight, for every durable consumer */
  backlog(): Promise<Backlog[]>
  deadLetters(limit?: number): Promise<DeadLetter[]>
  redrive(letter: DeadLetter): Promise<void>
  /** Makes streams as they should be; called by connectBus, and by consumers that find theirs gone */
  reconcile(): Promise<void>
  /** Whether the server answers. @throws BusError */
  ping(): Promise<void>
  close(): Promise<void>
}

const oldest = [2, 11] as const
const publishTimeoutMs = 5_000
const publishAttempts = 3
const publishPauseMs = 100
const closeWithinMs = 1_000

/** @throws BusError when the server cannot be reached in time, is too old, or has no JetStream */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const connection = await connectWithin(options)
  try {
    checkServer(connection, options.url)
    const core: BusCore = {
      connection,
      js: jetstream(connection, { timeout: publishTimeoutMs }),
      manager: await jetstreamManager(connection, { timeout: publishTimeoutMs }),
      names: namesFor(options.prefix ?? ''),
      log: options.log ?? { event: () => {} },
      observe: options.observe ?? (() => {}),
      onReconnect: new Set(),
    }
    await reconcileStreams(core)
    void reportStatus(core)
    return busOf(core)
  } catch (cause) {
    await connection.close()
    if (cause instanceof BusError) throw cause
    throw new BusError(
      'no_jetstream',
      `JetStream does not answer at ${shown(options.url)} (${(cause as Error).message}): start nats-server with -js`,
      { cause },
    )
  }
}

function busOf(core: BusCore): Bus {
  const publishRaw = (subject: string, message: Omit<OutgoingMessage, 'subject'>) => publish(core, subject, message)
  return {
    publish: (message) => publishRaw(core.names.subject(message.subject), message),
    consume: (options, handler) => consume(core, options, handler),
    consumeBatches: (options, handler) => consumeBatches(core, options, handler),
    follow: (options) => follow(core, options),
    openKeyValue: (bucket, options) => openKeyValue(core, bucket, options),
    backlog: () => backlog(core),
    deadLetters: (limit) => readDeadLetters(core, limit),
    redrive: (letter) => redrive(core, letter, (message) => publishRaw(message.subject, message)),
    reconcile: () => reconcileStreams(core),
    ping: async () => {
      if (core.connection.isClosed()) throw new BusError('closed', 'the connection to NATS is closed')
      await core.manager.getAccountInfo()
    },
    close: async () => {
      // What was said last (a nak, say) is still on its way to the server.
      await Promise.race([core.connection.flush().catch(() => {}), pause(closeWithinMs)])
      await core.connection.close()
    },
  }
}

/** An address without its credentials */
const shown = (url: string): string => url.replace(/\/\/[^@/]*@/, '//')

async function connectWithin(options: BusOptions): Promise<NatsConnection> {
  const limitMs = options.connectTimeoutMs ?? 15_000
  const end = Date.now() + limitMs
  for (;;) {
    try {
      return await connect({
        servers: options.url,
        name: options.name,
        timeout: Math.min(5_000, limitMs),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        pingInterval: 10_000,
        maxPingOut: 3,
      })
    } catch (cause) {
      if (cause instanceof errors.AuthorizationError) {
        throw new BusError('refused', `nats-server at ${shown(options.url)} refuses the credentials in NATS_URL`, {
          cause,
        })
      }
      if (Date.now() >= end) {
        throw new BusError(
          'unreachable',
          `nats-server cannot be reached at ${shown(options.url)} within ${limitMs / 1000} s (${(cause as Error).message}): check NATS_URL and that the server runs`,
          { cause },
        )
      }
      await pause(250)
    }
  }
}

function checkServer(connection: NatsConnection, url: string): void {
  const version = connection.info?.version ?? '0.0.0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    throw new BusError(
      'too_old',
      `nats-server ${version} at ${shown(url)} is too old: expected ${oldest.join('.')} or later`,
    )
  }
  if (!connection.info?.jetstream)
    throw new BusError('no_jetstream', `nats-server at ${shown(url)} runs without JetStream: start it with -js`)
}

async function reportStatus(core: BusCore): Promise<void> {
  let lostAt = Date.now()
  for await (const status of core.connection.status()) {
    if (status.type === 'disconnect') {
      lostAt = Date.now()
      core.log.event('connection_lost', { server: 'nats', reason: 'the connection broke' })
    } else if (status.type === 'reconnect') {
      core.log.event('connection_restored', { server: 'nats', away_ms: Date.now() - lostAt })
      for (const told of core.onReconnect) told()
    }
  }
}

/** Structured mode of the CloudEvents NATS binding, with the trace context where tools look for it. */
function headersOf(message: Omit<OutgoingMessage, 'subject'>): MsgHdrs {
  const given = headers()
  given.set('content-type', 'application/cloudevents+json')
  const traceparent = /"traceparent":"([0-9a-f-]{55})"/.exec(message.body)?.[1]
  if (traceparent) given.set('traceparent', traceparent)
  return given
}

async function publish(core: BusCore, subject: string, message: Omit<OutgoingMessage, 'subject'>): Promise<void> {
  const started = performance.now()
  for (let attempt = 1; ; attempt++) {
    try {
      const ack = await core.js.publish(subject, message.body, {
        msgID: message.messageId,
        timeout: publishTimeoutMs,
        headers: headersOf(message),
      })
      core.observe({ kind: 'published', seconds: (performance.now() - started) / 1000, duplicate: ack.duplicate })
      return
    } catch (cause) {
      if (attempt < publishAttempts && !core.connection.isClosed()) {
        await pause(publishPauseMs * attempt)
        await reconcileStreams(core).catch(() => {})
        continue
      }
      core.observe({ kind: 'publish failed' })
      throw new BusError(
        'publish_failed',
        `${subject} was not taken after ${attempt} tries: ${(cause as Error).message}`,
        { cause },
      )
    }
  }
}

async function backlog(core: BusCore): Promise<Backlog[]> {
  const rows: Backlog[] = []
  for (const stream of [core.names.stream('EVENTS'), core.names.stream('WORK')]) {
    for await (const info of core.manager.consumers.list(stream)) {
      if (!info.config.durable_name) continue
      rows.push({ durable: info.config.durable_name, pending: info.num_pending, inFlight: info.num_ack_pending })
    }
  }
  return rows
}
