import type { Bus } from '@tagloom/bus'
import type { OutgoingMessage } from '@tagloom/contracts'
import { addOutbox, type Database, pruneInbox, type Transaction, takeOutbox } from '@tagloom/database'
import type { Log } from './log.ts'
import { plainError } from './plain-error.ts'

/*
 * A transaction that owes the bus messages writes them as outbox rows. Right after it commits its process publishes them; what a
 * process left owing, because it died or the bus was away, is published by the sweep of any process.
 */

/** Notes messages that the transaction owes the bus. */
export type Owe = (...messages: readonly OutgoingMessage[]) => void

export interface Relay {
  /**
   * Runs `work` in a transaction together with the messages it owes, then publishes them.
   * When the bus is away the sweep does that later: what is committed stands either way.
   */
  commit<Result>(work: (tx: Transaction, owe: Owe) => Promise<Result>): Promise<Result>
  /** Publishes whatever has been owed for long enough. @returns how many messages */
  sweep(): Promise<number>
  /** Ends the sweeping, after the sweep in hand. */
  stop(): Promise<void>
}

export interface RelayOptions {
  readonly db: Database
  readonly bus: Pick<Bus, 'publish'>
  readonly log: Log
  readonly sweepEveryMs?: number
  /** Younger rows are left to the process that wrote them */
  readonly owedForMs?: number
}

const sweepBatch = 200
const pruneEveryMs = 3_600_000
/** One day longer than the stream keeps a message: an older row can meet no delivery. */
const inboxDays = 8
const mostBatches = 50

export function createRelay(options: RelayOptions): Relay {
  const { db, bus, log } = options
  const everyMs = options.sweepEveryMs ?? 1_000
  const owedForMs = options.owedForMs ?? 2_000
  const publish = (row: OutgoingMessage) => bus.publish(row)
  let stopped = false
  let sweeping: Promise<unknown> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  const flush = async (ids: readonly number[]): Promise<void> => {
    try {
      await takeOutbox(db, { ids, limit: ids.length }, publish)
    } catch (error) {
      log.event('outbox_failed', { messages: ids.length, reason: plainError(error).message })
    }
  }

  const sweep = async (): Promise<number> => {
    let total = 0
    for (let i = 0; i < mostBatches && !stopped; i++) {
      const taken = await takeOutbox(db, { olderThanMs: owedForMs, limit: sweepBatch }, publish)
      total += taken
      if (taken < sweepBatch) break
    }
    if (total > 0) log.event('outbox_relayed', { messages: total, oldest_seconds: owedForMs / 1000 })
    return total
  }

  let failing = false
  let prunedAt = Date.now()
  const sweepOnce = async () => {
    try {
      await sweep()
      if (Date.now() - prunedAt > pruneEveryMs) {
        prunedAt = Date.now()
        await pruneInbox(db, inboxDays)
      }
      failing = false
    } catch (error) {
      // One line for each outage, not for each second of it.
      if (!failing) log.event('outbox_failed', { messages: 0, reason: plainError(error).message })
      failing = true
    }
    if (!stopped) timer = setTimeout(next, everyMs)
  }
  const next = () => {
    sweeping = sweepOnce()
  }
  timer = setTimeout(next, everyMs)

  return {
    async commit(work) {
      let ids: number[] = []
      const result = await db.transaction(async (tx) => {
        const owed: OutgoingMessage[] = []
        const value = await work(tx, (...messages) => void owed.push(...messages))
        ids = await addOutbox(tx, owed)
        return value
      })
      if (ids.length > 0) await flush(ids)
      return result
    },
    sweep,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await sweeping
    },
  }
}
