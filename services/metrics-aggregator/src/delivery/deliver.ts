import {
  type ClaimedDelivery,
  claimDeliveries,
  type Database,
  expandDeliveries,
  giveUpDeliveriesExcept,
  recordTry,
} from '@tagloom/database'
import { type Loop, startLoop } from '@tagloom/service-kit'
import { giveUpAfterMs, nextDelayMs, retryAfterMs } from './backoff.ts'
import type { Receiver } from './receivers.ts'
import { repeatOpenAlerts } from './repeat-open-alerts.ts'
import { isTaken, requestFor, wantsAlert } from './requests.ts'
import { type SendResult, send } from './send.ts'

/*
 * Tells receivers of alerts: at least once, each alert and event under one key, raised before resolved.
 * Rows are taken under a lease, so that any number of replicas share them and a killed one loses none. Each receiver has a loop of its own,
 * with a bounded number of tries at a time: one that hangs delays no other, and a flood of alerts waits in the table.
 */

export interface DeliveryDeps {
  readonly db: Database
  readonly receivers: readonly Receiver[]
  /** Whether receivers may be at private addresses */
  readonly allowPrivate: boolean
  /** Most time for one try */
  readonly timeoutMs: number
  /** Rest between two looks for what is due */
  readonly everyMs: number
  /** Rest between two repeats of what is open, to receivers that forget; a minute without it */
  readonly repeatEveryMs?: number
  /** The receiver 'log', which every alert has */
  readonly tellLog: (delivery: ClaimedDelivery) => Promise<void>
  readonly onDelivered: (delivery: ClaimedDelivery) => void
  readonly onFailed: (delivery: ClaimedDelivery, reason: string, abandoned: boolean) => void
  readonly onError: (error: Error) => void
}

const logReceiver = 'log'
const triesAtOnce = 4
const everyMinute = 60_000
const everyHour = 3_600_000

export function startDelivery(deps: DeliveryDeps): Loop {
  const { db, receivers, everyMs, onError } = deps
  const filters = [
    { name: logReceiver, wants: () => true },
    ...receivers.map((receiver) => ({
      name: receiver.name,
      wants: (alert: Parameters<typeof wantsAlert>[1], event: Parameters<typeof wantsAlert>[2]) =>
        wantsAlert(receiver, alert, event),
    })),
  ]
  const tellers: Record<string, (delivery: ClaimedDelivery, signal: AbortSignal) => Promise<void>> = {
    [logReceiver]: (delivery) => tellLog(delivery, deps),
  }
  for (const receiver of receivers)
    tellers[receiver.name] = (delivery, signal) => tellReceiver(delivery, receiver, deps, signal)
  const loops = Object.entries(tellers).map(([name, tell]) =>
    startLoop(everyMs, (signal) => deliverTo(name, tell, deps, signal), onError),
  )
  const expanding = startLoop(
    everyMs,
    async (signal) => {
      let expanded = 0
      while (!signal.aborted) {
        const rows = await expandDeliveries(db, filters)
        if (rows === 0) break
        expanded += rows
      }
      if (expanded > 0) for (const loop of loops) loop.wake()
    },
    onError,
  )
  const known = filters.map(({ name }) => name)
  const givingUp = startLoop(everyHour, () => giveUpDeliveriesExcept(db, known, giveUpAfterMs), onError)
  const repeatMs = deps.repeatEveryMs ?? everyMinute
  const repeating = startLoop(repeatMs, (signal) => repeatOpenAlerts(deps, signal), onError, repeatMs)
  return {
    wake: expanding.wake,
    async stop() {
      await Promise.all([expanding, givingUp, repeating, ...loops].map((loop) => loop.stop()))
    },
  }
}

/** Tries everything that is due for one receiver. */
async function deliverTo(
  name: string,
  tell: (delivery: ClaimedDelivery, signal: AbortSignal) => Promise<void>,
  { db, timeoutMs }: DeliveryDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const claimed = await claimDeliveries(db, name, triesAtOnce, timeoutMs * 2 + 5_000)
    if (claimed.length === 0) return
    await Promise.all(claimed.map((delivery) => tell(delivery, signal)))
  }
}

async function tellLog(delivery: ClaimedDelivery, deps: DeliveryDeps): Promise<void> {
  await deps.tellLog(delivery)
  const entry = { at: new Date().toISOString(), took_ms: 0, result: 'logged' }
  await recordTry(deps.db, delivery.id, { try: entry, next: 'delivered' })
}

async function tellReceiver(
  delivery: ClaimedDelivery,
  receiver: Receiver,
  { db, allowPrivate, timeoutMs, onDelivered, onFailed }: DeliveryDeps,
  signal: AbortSignal,
): Promise<void> {
  const at = new Date()
  const told = { alert: delivery.alert, event: delivery.event, key: delivery.deliveryKey, at: delivery.createdAt }
  const sent = await send(requestFor(receiver, told, at), { allowPrivate, timeoutMs, signal })
  // A try that this process broke off because it stops is no failure: the lease brings it back.
  const taken = 'status' in sent && isTaken(receiver, sent.status)
  if (signal.aborted && !taken) return
  const entry = { at: at.toISOString(), took_ms: Date.now() - at.getTime(), result: resultOf(sent) }
  if (taken) {
    await recordTry(db, delivery.id, { try: entry, next: 'delivered' })
    onDelivered(delivery)
    return
  }
  const next = nextTry(delivery, sent, at)
  await recordTry(db, delivery.id, { try: entry, next })
  onFailed(delivery, entry.result, next === 'given up')
}

const resultOf = (sent: SendResult): string => ('status' in sent ? `HTTP ${sent.status}` : sent.reason)

/** 410 Gone is how a Standard Webhooks receiver asks to be left alone. All else may pass. */
function nextTry(delivery: ClaimedDelivery, sent: SendResult, now: Date): number | 'given up' {
  if ('status' in sent && sent.status === 410) return 'given up'
  const after = 'status' in sent ? retryAfterMs(sent.retryAfter, now) : undefined
  const age = now.getTime() - delivery.createdAt.getTime()
  return nextDelayMs(delivery.attempts, age, after, Math.random()) ?? 'given up'
}
