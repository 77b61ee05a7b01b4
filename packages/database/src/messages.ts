import type { OutgoingMessage } from '@tagloom/contracts'
import { and, asc, eq, inArray, lt, sql } from 'drizzle-orm'
import type { Database, Executor, Transaction } from './database.ts'
import { inbox, outbox } from './schema/jobs.ts'

/**
 * Claims a message for a consumer, inside the transaction that holds its effects.
 * @returns false when an earlier delivery committed already: nothing is to be done
 */
export async function claimInbox(tx: Transaction, consumer: string, messageId: string): Promise<boolean> {
  const rows = await tx.orm
    .insert(inbox)
    .values({ consumer, messageId })
    .onConflictDoNothing()
    .returning({ id: inbox.messageId })
  return rows.length === 1
}

/** Whether an earlier delivery committed already. Only a hint before work begins: claimInbox decides. */
export async function isInInbox(db: Executor, consumer: string, messageId: string): Promise<boolean> {
  const rows = await db.orm
    .select({ id: inbox.messageId })
    .from(inbox)
    .where(and(eq(inbox.consumer, consumer), eq(inbox.messageId, messageId)))
  return rows.length === 1
}

/** Owes the bus these messages, from the moment that the transaction commits. */
export async function addOutbox(tx: Transaction, messages: readonly OutgoingMessage[]): Promise<number[]> {
  const ids: number[] = []
  for (let i = 0; i < messages.length; i += 1000) {
    const rows = await tx.orm
      .insert(outbox)
      .values(messages.slice(i, i + 1000))
      .returning({ id: outbox.id })
    for (const row of rows) ids.push(row.id)
  }
  return ids
}

export interface OutboxRow extends OutgoingMessage {
  readonly id: number
}

export interface TakeOutbox {
  /** Only these rows */
  readonly ids?: readonly number[]
  /** Only rows that have waited this long */
  readonly olderThanMs?: number
  readonly limit: number
}

/**
 * Publishes what is owed, oldest first, and forgets it. Rows that another process has in hand are left to it.
 * When `publish` throws, that row and those after it stay owed.
 * @returns rows published
 */
export async function takeOutbox(
  db: Database,
  take: TakeOutbox,
  publish: (row: OutboxRow) => Promise<void>,
): Promise<number> {
  if (take.ids?.length === 0) return 0
  let failure: unknown
  const published = await db.transaction(async (tx) => {
    const rows = await tx.orm
      .select({ id: outbox.id, subject: outbox.subject, messageId: outbox.messageId, body: outbox.body })
      .from(outbox)
      .where(
        and(
          take.ids ? inArray(outbox.id, [...take.ids]) : undefined,
          take.olderThanMs
            ? lt(outbox.createdAt, sql`now() - ${take.olderThanMs} * interval '1 millisecond'`)
            : undefined,
        ),
      )
      .orderBy(asc(outbox.id))
      .limit(take.limit)
      .for('update', { skipLocked: true })
    const done: number[] = []
    try {
      for (const row of rows) {
        await publish(row)
        done.push(row.id)
      }
    } catch (error) {
      failure = error
    }
    if (done.length) await tx.orm.delete(outbox).where(inArray(outbox.id, done))
    return done.length
  })
  if (failure) throw failure
  return published
}

/** How many messages are owed. */
export async function countOutbox(db: Executor): Promise<number> {
  const rows = await db.orm.select({ count: sql<number>`count(*)::int` }).from(outbox)
  return rows[0]?.count ?? 0
}

/** Forgets handled messages older than the stream keeps messages: they cannot be delivered again. */
export async function pruneInbox(db: Executor, olderThanDays: number): Promise<number> {
  const rows = await db.orm
    .delete(inbox)
    .where(lt(inbox.handledAt, sql`now() - ${olderThanDays} * interval '1 day'`))
    .returning({ id: inbox.messageId })
  return rows.length
}
