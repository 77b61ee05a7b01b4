import type { Consumer, JsMsg } from '@nats-io/jetstream'
import type { EventDeclaration } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { deliver, type Handler } from './deliver.ts'
import type { Message } from './message.ts'
import { pause } from './pause.ts'
import { reconcileConsumer, reconcileStreams } from './streams.ts'

/*
 * Each of `concurrency` loops pulls one message at a time, so that nothing waits in this process while its ack_wait runs. A loop that
 * fails (the server is away, its store was wiped) makes stream and consumer again and goes on.
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
  /** Stops pulling, waits up to `graceMs` for what is in hand, then aborts its signals and hands it back. */
  stop(graceMs?: number): Promise<void>
  readonly inHand: number
}

/** A heartbeat goes out every 5 s, so that what a killed process had in hand is with another one after 15 s. */
const defaults = { ackWaitMs: 15_000, maxDeliver: 8, backoffMs: [200, 1_000, 5_000, 15_000] }
const pullExpiresMs = 5_000
/** A pull that ends empty sooner than this was refused: without a pause the loop would spin */
const tooSoonMs = 50

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
  let inHand = 0

  const ensure = () =>
    reconcileConsumer(core.manager, {
      stream,
      durable,
      filters: options.events.map((event) => core.names.subject(event.filter)),
      ackWaitMs: settings.ackWaitMs,
      maxDeliver: settings.maxDeliver,
    })
  await ensure()

  const pullAndDeliver = async (consumer: Consumer): Promise<void> => {
    const began = performance.now()
    const raw = await pull(consumer, stopping.signal)
    if (raw) {
      inHand++
      await deliver(core, settings, handler, raw, dropping.signal).finally(() => inHand--)
    } else if (performance.now() - began < tooSoonMs && !stopping.signal.aborted) {
      throw new Error('the pull ended at once without a message')
    }
  }

  const loop = async () => {
    let consumer: Consumer | undefined
    let failures = 0
    while (!stopping.signal.aborted && !core.connection.isClosed()) {
      try {
        consumer ??= await core.js.consumers.get(stream, durable)
        await pullAndDeliver(consumer)
        failures = 0
      } catch (error) {
        if (stopping.signal.aborted) return
        consumer = undefined
        core.log.event('consumer_recovering', { consumer: settings.durable, reason: (error as Error).message })
        await pause(Math.min(5_000, 100 * 2 ** failures++), stopping.signal)
        await reconcileStreams(core)
          .then(ensure)
          .catch(() => {})
      }
    }
  }
  const loops = Array.from({ length: options.concurrency }, loop)

  return {
    get inHand() {
      return inHand
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
