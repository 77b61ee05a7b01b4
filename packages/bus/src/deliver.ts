import type { JsMsg } from '@nats-io/jetstream'
import type { EventDeclaration } from '@tagloom/contracts'
import type { BusCore, Outcome } from './core.ts'
import { putToDead } from './dead-letters.ts'
import { idsOf, type Message, readMessage } from './message.ts'
import { Reject, RetryLater } from './outcomes.ts'

/*
 * From a delivery to its end: in hand → acked | retried (comes again) | dead (terminated, kept with its reason) | handed back (the
 * consumer was stopped). Only here are messages acknowledged.
 */

export interface DeliverySettings<E extends EventDeclaration> {
  readonly events: readonly E[]
  readonly durable: string
  readonly ackWaitMs: number
  readonly maxDeliver: number
  readonly backoffMs: readonly number[]
  readonly onDead?: ((message: Message<E> | undefined, reason: string) => Promise<void>) | undefined
}

export type Handler<E extends EventDeclaration> = (message: Message<E>) => Promise<void>

const handBackDelayMs = 100
const burialRetryMs = 5_000

/** @param dropping aborted when the time for finishing is over: the message is handed back, whatever its handler does */
export async function deliver<E extends EventDeclaration>(
  core: BusCore,
  settings: DeliverySettings<E>,
  handler: Handler<E>,
  raw: JsMsg,
  dropping: AbortSignal,
): Promise<void> {
  const { durable } = settings
  const started = performance.now()
  const heartbeat = setInterval(() => quietly(() => raw.working()), settings.ackWaitMs / 3)
  const givingUp = handingBack(raw, dropping)
  core.observe({ kind: 'in hand', durable, delta: 1 })
  try {
    const outcome = await Promise.race([handle(core, settings, handler, raw, dropping), givingUp.done])
    const seconds = (performance.now() - started) / 1000
    core.observe({ kind: 'delivered', durable, outcome, seconds, deliveryCount: raw.info.deliveryCount })
  } finally {
    givingUp.cancel()
    clearInterval(heartbeat)
    core.observe({ kind: 'in hand', durable, delta: -1 })
  }
}

/** `done` settles a moment after the signal aborts, so that a handler that minds the signal comes first. */
function handingBack(raw: JsMsg, dropping: AbortSignal): { readonly done: Promise<Outcome>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  let timer: NodeJS.Timeout | undefined
  const handBack = () => {
    timer = setTimeout(() => {
      quietly(() => raw.nak(handBackDelayMs))
      resolve('handed back')
    }, handBackDelayMs)
  }
  if (dropping.aborted) handBack()
  else dropping.addEventListener('abort', handBack)
  return {
    done: promise,
    cancel() {
      clearTimeout(timer)
      dropping.removeEventListener('abort', handBack)
    },
  }
}

async function handle<E extends EventDeclaration>(
  core: BusCore,
  settings: DeliverySettings<E>,
  handler: Handler<E>,
  raw: JsMsg,
  dropping: AbortSignal,
): Promise<Outcome> {
  const { deliveryCount } = raw.info
  let message: Message<E> | undefined
  try {
    message = readMessage(settings.events, raw, dropping)
    if (deliveryCount > settings.maxDeliver)
      throw new Reject(`delivered ${deliveryCount} times: each process that had it in hand ended before it was done`)
    await handler(message)
  } catch (error) {
    if (dropping.aborted) {
      quietly(() => raw.nak(handBackDelayMs))
      return 'handed back'
    }
    if (error instanceof Reject) return bury(core, settings, raw, message, error.message)
    if (deliveryCount >= settings.maxDeliver) {
      return bury(core, settings, raw, message, `failed ${times(deliveryCount)}, last: ${(error as Error).message}`)
    }
    const backoffMs = settings.backoffMs[Math.min(deliveryCount, settings.backoffMs.length) - 1] ?? 0
    return retry(core, raw, message, error instanceof RetryLater ? error.delayMs : backoffMs, (error as Error).message)
  }
  return acknowledge(core, raw, message)
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)

/** Handled: when the acknowledgement is lost the message comes again, and its handler knows it. */
async function acknowledge(core: BusCore, raw: JsMsg, message: Message): Promise<Outcome> {
  try {
    await raw.ackAck()
    return 'acked'
  } catch (error) {
    return retry(core, raw, message, 0, `handled, but the acknowledgement was lost: ${(error as Error).message}`)
  }
}

/** Says that the message comes again, and why. */
export function retry(
  core: BusCore,
  raw: JsMsg,
  message: Message | undefined,
  delayMs: number,
  reason: string,
): Outcome {
  core.log.event('message_retried', {
    ...idsOf(message),
    subject: raw.subject,
    message_id: message?.id ?? String(raw.seq),
    delivery: raw.info.deliveryCount,
    delay_ms: delayMs,
    reason: reason.slice(0, 2_000),
  })
  quietly(() => raw.nak(delayMs))
  return 'retried'
}

async function bury<E extends EventDeclaration>(
  core: BusCore,
  settings: DeliverySettings<E>,
  raw: JsMsg,
  message: Message<E> | undefined,
  reason: string,
): Promise<Outcome> {
  try {
    await settings.onDead?.(message, reason)
    await putToDead(core, settings.durable, raw, reason, message)
  } catch (cause) {
    return retry(core, raw, message, burialRetryMs, `could not be put aside (${reason}): ${(cause as Error).message}`)
  }
  quietly(() => raw.term(reason.slice(0, 200)))
  return 'dead'
}

/** On a connection that was closed nothing can be said any more: the message comes again after its ack_wait. */
export function quietly(say: () => void): void {
  try {
    say()
  } catch {}
}
