import type { Bus } from '@tagloom/bus'
import type { OutgoingMessage } from '@tagloom/contracts'
import { addOutbox, type Database, type Transaction, takeOutbox } from '@tagloom/database'

/** Notes messages that the transaction owes the bus. */
export type Owe = (...messages: OutgoingMessage[]) => void

/**
 * Runs `work` in a transaction together with the messages it owes, then publishes them. When the bus is away the relay does that
 * later: what is committed stands either way.
 */
export type Commit = <Result>(work: (tx: Transaction, owe: Owe) => Promise<Result>) => Promise<Result>

export const committer =
  (db: Database, bus: Pick<Bus, 'publish'>, onLate: (error: Error) => void): Commit =>
  async (work) => {
    let ids: number[] = []
    const result = await db.transaction(async (tx) => {
      const owed: OutgoingMessage[] = []
      const value = await work(tx, (...messages) => void owed.push(...messages))
      ids = await addOutbox(tx, owed)
      return value
    })
    try {
      await takeOutbox(db, { ids, limit: ids.length }, (row) => bus.publish(row))
    } catch (error) {
      onLate(error as Error)
    }
    return result
  }
