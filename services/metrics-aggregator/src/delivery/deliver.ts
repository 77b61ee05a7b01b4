import { type ClaimedDelivery, claimDeliveries, type Database, expandDeliveries, recordTry } from '@tagloom/database'
import { nextDelayMs, retryAfterMs } from './backoff.ts'
import type { Receiver } from './receivers.ts'
import { requestFor, wantsAlert } from './requests.ts'
import { type SendResult, send } from './send.ts'

/*
 * Tells receivers of alerts: at least once, each alert and event under one key, raised before resolved.
 * Rows are taken under a lease, so that any number of replicas share them and a killed one loses none. It runs beside the pipeline
 * and takes a bounded number at a time: a flood of alerts waits in the table.
 */

export interface DeliveryOptions {
  readonly receivers: readonly Receiver[]
  readonly allowPrivate: boolean
  readonly timeoutMs: number
  /** Most tries at once */
  readonly concurrency: number
}

export interface DeliveryDeps {
  readonly db: Database
  readonly options: DeliveryOptions
  readonly onDelivered: (delivery: ClaimedDelivery) => void
  readonly onFailed: (delivery: ClaimedDelivery, reason: string, abandoned: boolean) => void
  readonly random?: () => number
}

/** One round: every delivery that is due is tried once. @returns tries made */
export async function deliverDue(deps: DeliveryDeps, signal?: AbortSignal): Promise<number> {
  const { db, options } = deps
  const filters = options.receivers.map((receiver) => ({
    name: receiver.name,
    wants: (...[alert, event]: Parameters<typeof wantsAlert> extends [Receiver, ...infer Rest] ? Rest : never) =>
      wantsAlert(receiver, alert, event),
  }))
  while ((await expandDeliveries(db, filters)) > 0) signal?.throwIfAborted()
  const names = options.receivers.map((receiver) => receiver.name)
  const leaseMs = options.timeoutMs * 2 + 5_000
  let tries = 0
  while (!signal?.aborted) {
    const claimed = await claimDeliveries(db, names, options.concurrency, leaseMs)
    if (claimed.length === 0) break
    await Promise.all(claimed.map((delivery) => attempt(delivery, deps, signal)))
    tries += claimed.length
  }
  return tries
}

async function attempt(delivery: ClaimedDelivery, deps: DeliveryDeps, signal?: AbortSignal): Promise<void> {
  const receiver = deps.options.receivers.find((candidate) => candidate.name === delivery.receiver) as Receiver
  const at = new Date()
  const told = { alert: delivery.alert, event: delivery.event, key: delivery.deliveryKey, at: delivery.createdAt }
  const { allowPrivate, timeoutMs } = deps.options
  const sent = await send(requestFor(receiver, told, at), { allowPrivate, timeoutMs, ...(signal ? { signal } : {}) })
  const entry = { at: at.toISOString(), took_ms: Date.now() - at.getTime(), result: resultOf(sent) }
  if (isTaken(sent)) {
    await recordTry(deps.db, delivery.id, { try: entry, next: 'delivered' })
    deps.onDelivered(delivery)
    return
  }
  const next = nextTry(delivery, sent, at, deps.random ?? Math.random)
  await recordTry(deps.db, delivery.id, { try: entry, next })
  deps.onFailed(delivery, entry.result, next === 'given up')
}

const isTaken = (sent: SendResult): boolean => 'status' in sent && sent.status >= 200 && sent.status < 300
const resultOf = (sent: SendResult): string => ('status' in sent ? `HTTP ${sent.status}` : sent.reason)

/** 410 Gone is how a Standard Webhooks receiver asks to be left alone. All else may pass. */
function nextTry(delivery: ClaimedDelivery, sent: SendResult, now: Date, random: () => number): number | 'given up' {
  if ('status' in sent && sent.status === 410) return 'given up'
  const after = 'status' in sent ? retryAfterMs(sent.retryAfter, now) : undefined
  const age = now.getTime() - delivery.createdAt.getTime()
  return nextDelayMs(delivery.attempts, age, after, random()) ?? 'given up'
}
