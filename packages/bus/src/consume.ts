import type { Consumer, JsMsg } from '@nats-io/jetstream'
import type { EventDeclaration } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { putToDead } from './dead-letters.ts'
import { type Message, readMessage } from './message.ts'
import { Reject, RetryLater } from './outcomes.ts'
import { reconcileConsumer, reconcileStreams } from './streams.ts'

/*
 * A delivery's states: pulled → in hand → acked | nak (comes again) | dead (terminated, kept with its reason).
 * Each of `concurrency` loops pulls one message at a time, so that nothing waits in this process while its ack_wait runs.
 */

export interface ConsumeOptions<E extends EventDeclaration> {
  /** Events of one stream */
  readonly events: readonly E[]
  /** Name shared by all replicas: they share the work */
  readonly durable: string
  /** Messages in hand at once */
  readonly concurrency: number
  /** A delivery without a sign of life for this long comes again; heartbeats go out every third of it */
  readonly ackWaitMs?: number
  /** Deliveries after which a message is dead */
  readonly maxDeliver?: number
  /** Waits between deliveries after an unexpected error, ms; the last one repeats */
  readonly backoffMs?: readonly number[]
  /** Told of each dead message, before it leaves the stream. When this throws, the message comes again. */
  readonly onDead?: (message: Message<E> | undefined, reason: string) => Promise<void>
}

export interface Consumption {
  /** Stops pulling, waits up to `graceMs` for what is in hand, then hands the rest back. */
  stop(graceMs?: number): Promise<void>
  readonly inHand: number
}

export type Handler<E extends EventDeclaration> = (message: Message<E>) => Promise<void>

const defaults = { ackWaitMs: 30_000, maxDeliver: 8, backoffMs: [200, 1_000, 5_000, 15_000] }
const pullExpiresMs = 5_000
const handBackDelayMs = 100

export async function consume<E extends EventDeclaration>(
  core: BusCore,
  options: ConsumeOptions<E>,
  handler: Handler<E>,
): Promise<Consumption> {
  const settings = { ...defaults, ...options }
  const stream = core.names.stream(options.events[0]?.stream === 'work' ? 'WORK' : 'EVENTS')
  const durable = core.names.durable(options.durable)
  const stopping = new AbortController()
  const dropping = new AbortController()
  const inHand = new Set<Promise<void>>()

  const ensure = () =>
    reconcileConsumer(core.manager, {
      stream,
      durable,
      filters: options.events.map((event) => core.names.subject(event.filter)),
      ackWaitMs: settings.ackWaitMs,
      maxDeliver: settings.maxDeliver,
    })
  await ensure()

  const loop = async () => {
    let consumer: Consumer | undefined
    let failures = 0
    while (!stopping.signal.aborted) {
      try {
        consumer ??= await core.js.consumers.get(stream, durable)
        const raw = await pull(consumer, stopping.signal)
        failures = 0
        if (!raw) continue
        const work = deliver(core, settings, handler, raw, dropping.signal)
        inHand.add(work)
        await work.finally(() => inHand.delete(work))
      } catch (error) {
        if (stopping.signal.aborted) return
        // The server is away, or its store was wiped: wait a little, then make stream and consumer again.
        core.log('bus_consumer_recovering', { durable, reason: (error as Error).message })
        await waitFor(Math.min(5_000, 100 * 2 ** failures++), stopping.signal)
        consumer = undefined
        await reconcileStreams(core.manager, core.names)
          .then(ensure)
          .catch(() => {})
      }
    }
  }
  const loops = Array.from({ length: options.concurrency }, loop)

  return {
    get inHand() {
      return inHand.size
    },
    async stop(graceMs = 8_000) {
      stopping.abort()
      const timer = setTimeout(() => dropping.abort(new Error('the service is stopping')), graceMs)
      await Promise.all(loops)
      clearTimeout(timer)
    },
  }
}

/** One message, or undefined when none came within the pull's time. */
async function pull(consumer: Consumer, stopping: AbortSignal): Promise<JsMsg | undefined> {
  const batch = await consumer.fetch({ max_messages: 1, expires: pullExpiresMs })
  const close = () => void batch.close()
  stopping.addEventListener('abort', close, { once: true })
  // Told to stop while the pull was set up: the listener hears nothing any more.
  if (stopping.aborted) close()
  try {
    for await (const message of batch) return message
    return undefined
  } finally {
    stopping.removeEventListener('abort', close)
  }
}

type Settings<E extends EventDeclaration> = ConsumeOptions<E> & Required<Pick<ConsumeOptions<E>, keyof typeof defaults>>

async function deliver<E extends EventDeclaration>(
  core: BusCore,
  settings: Settings<E>,
  handler: Handler<E>,
  raw: JsMsg,
  dropping: AbortSignal,
): Promise<void> {
  const started = performance.now()
  const heartbeat = setInterval(() => raw.working(), settings.ackWaitMs / 3)
  let message: Message<E> | undefined
  const end = (outcome: 'acked' | 'retried' | 'dead' | 'handed back') =>
    core.observe({
      kind: 'delivered',
      durable: settings.durable,
      outcome,
      seconds: (performance.now() - started) / 1000,
      deliveryCount: raw.info.deliveryCount,
    })
  core.observe({ kind: 'in hand', durable: settings.durable, delta: 1 })
  try {
    message = readMessage(settings.events, raw, dropping)
    if (raw.info.deliveryCount > settings.maxDeliver)
      throw new Reject(
        `delivered ${raw.info.deliveryCount} times: each process that had it in hand ended before it was done`,
      )
    await handler(message)
    await raw.ackAck()
    end('acked')
  } catch (error) {
    if (dropping.aborted) {
      raw.nak(handBackDelayMs)
      return end('handed back')
    }
    const lastTry = raw.info.deliveryCount >= settings.maxDeliver
    if (error instanceof RetryLater && !lastTry) {
      raw.nak(error.delayMs)
      return end('retried')
    }
    if (error instanceof Reject || lastTry) {
      await bury(core, settings, raw, message, error as Error, end)
      return
    }
    core.log('bus_handler_failed', {
      durable: settings.durable,
      message_id: message?.id,
      delivery: raw.info.deliveryCount,
      reason: (error as Error).message,
    })
    raw.nak(settings.backoffMs[Math.min(raw.info.deliveryCount, settings.backoffMs.length) - 1])
    end('retried')
  } finally {
    clearInterval(heartbeat)
    core.observe({ kind: 'in hand', durable: settings.durable, delta: -1 })
  }
}

async function bury<E extends EventDeclaration>(
  core: BusCore,
  settings: Settings<E>,
  raw: JsMsg,
  message: Message<E> | undefined,
  error: Error,
  end: (outcome: 'dead' | 'retried') => void,
): Promise<void> {
  const reason =
    error instanceof Reject ? error.message : `failed ${raw.info.deliveryCount} times, last: ${error.message}`
  try {
    await settings.onDead?.(message, reason)
    await putToDead(core, settings.durable, raw, reason)
    raw.term(reason)
    end('dead')
  } catch (cause) {
    core.log('bus_handler_failed', {
      durable: settings.durable,
      message_id: message?.id,
      delivery: raw.info.deliveryCount,
      reason: `could not be put aside: ${(cause as Error).message}`,
    })
    raw.nak(5_000)
    end('retried')
  }
}

function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
