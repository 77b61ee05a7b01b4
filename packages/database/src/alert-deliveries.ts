import { and, asc, eq, gt, inArray, or, type SQL, sql } from 'drizzle-orm'
import type { AlertRow } from './alerts.ts'
import type { Database, Executor } from './database.ts'
import { jobs } from './schema/jobs.ts'
import { alertDeliveries, alerts, type DeliveryTry } from './schema/metrics.ts'

/*
 * The delivery log: one row for each alert, event and receiver, with every try in it.
 * due → delivered | given up. A row of receiver '*' is the debt of a transition, before it is known who is to be told.
 */

export type DeliveryRow = typeof alertDeliveries.$inferSelect
export type AlertEvent = DeliveryRow['event']

export interface ReceiverFilter {
  readonly name: string
  /** Whether this receiver is told of this */
  readonly wants: (alert: AlertRow, event: AlertEvent) => boolean
}

/**
 * Turns the debts of transitions into one delivery for each receiver, oldest first. A crash in between repeats nothing: the keys are unique.
 * @returns debts expanded
 */
export async function expandDeliveries(
  db: Database,
  receivers: readonly ReceiverFilter[],
  limit = 500,
): Promise<number> {
  return db.transaction(async (tx) => {
    const owed = await tx.orm
      .select({ delivery: alertDeliveries, alert: alerts })
      .from(alertDeliveries)
      .innerJoin(alerts, eq(alerts.id, alertDeliveries.alertId))
      .where(and(eq(alertDeliveries.status, 'due'), eq(alertDeliveries.receiver, '*')))
      .orderBy(asc(alertDeliveries.id))
      .limit(limit)
      .for('update', { of: alertDeliveries, skipLocked: true })
    if (owed.length === 0) return 0
    const rows = owed.flatMap(({ delivery, alert }) =>
      receivers
        .filter((receiver) => receiver.wants(alert, delivery.event))
        .map((receiver) => ({
          alertId: alert.id,
          event: delivery.event,
          receiver: receiver.name,
          deliveryKey: `${delivery.deliveryKey}.${receiver.name}`,
          createdAt: delivery.createdAt,
        })),
    )
    for (let i = 0; i < rows.length; i += 1000)
      await tx.orm
        .insert(alertDeliveries)
        .values(rows.slice(i, i + 1000))
        .onConflictDoNothing()
    await tx.orm
      .update(alertDeliveries)
      .set({ status: 'delivered', deliveredAt: sql`now()` as never })
      .where(
        inArray(
          alertDeliveries.id,
          owed.map(({ delivery }) => delivery.id),
        ),
      )
    return owed.length
  })
}

export interface ClaimedDelivery extends DeliveryRow {
  readonly alert: AlertRow
  /** The request that set off the alert's last job, where a job and not the clock brought it about */
  readonly origin: { readonly requestId: string | null; readonly traceparent: string | null } | null
}

/**
 * Takes deliveries that are due and puts their next try after the lease: a process that dies with one in hand loses nothing.
 * Of one alert and receiver only the oldest is taken, so that a resolve never overtakes its alert.
 */
export async function claimDeliveries(
  db: Database,
  receiver: string,
  limit: number,
  leaseMs: number,
): Promise<ClaimedDelivery[]> {
  return db.transaction(async (tx) => {
    const due = await tx.orm.execute<{ id: number }>(sql`
      select d.id from alert_deliveries d
      where d.status = 'due' and d.next_attempt_at <= now() and d.receiver = ${receiver}
        and not exists (select from alert_deliveries e
          where e.alert_id = d.alert_id and e.receiver = d.receiver and e.status = 'due' and e.id < d.id)
      order by d.next_attempt_at limit ${limit} for update of d skip locked`)
    const ids = due.rows.map((row) => Number(row.id))
    if (ids.length === 0) return []
    const rows = await tx.orm
      .update(alertDeliveries)
      .set({
        attempts: sql`${alertDeliveries.attempts} + 1`,
        nextAttemptAt: sql`now() + ${leaseMs} * interval '1 millisecond'` as never,
      })
      .where(inArray(alertDeliveries.id, ids))
      .returning()
    const of = await tx.orm
      .select({ alert: alerts, origin: { requestId: jobs.requestId, traceparent: jobs.traceparent } })
      .from(alerts)
      .leftJoin(jobs, eq(jobs.id, alerts.lastJobId))
      .where(
        inArray(
          alerts.id,
          rows.map((row) => row.alertId),
        ),
      )
    const byId = new Map(of.map((each) => [each.alert.id, each]))
    return rows.flatMap((row) => {
      const known = byId.get(row.alertId)
      return known ? [{ ...row, ...known }] : []
    })
  })
}

export interface TryOutcome {
  readonly try: DeliveryTry
  /** A number: due again after so many milliseconds */
  readonly next: 'delivered' | 'given up' | number
}

const loggedTries = 200

/** Writes a try into the log. A delivery that another try brought to its end stays ended. */
export async function recordTry(db: Executor, deliveryId: number, outcome: TryOutcome): Promise<void> {
  const { next } = outcome
  await db.orm
    .update(alertDeliveries)
    .set({
      lastResult: outcome.try.result,
      log: sql`case when jsonb_array_length(${alertDeliveries.log}) < ${loggedTries}
               then ${alertDeliveries.log} || ${JSON.stringify([outcome.try])}::jsonb else ${alertDeliveries.log} end` as never,
      ...(typeof next === 'number'
        ? { nextAttemptAt: sql`now() + ${next} * interval '1 millisecond'` as never }
        : { status: next }),
      ...(next === 'delivered' ? { deliveredAt: sql`now()` as never } : {}),
    })
    .where(and(eq(alertDeliveries.id, deliveryId), eq(alertDeliveries.status, 'due')))
}

export const readDeliveries = (db: Executor, alertIds: readonly number[]): Promise<DeliveryRow[]> =>
  db.orm
    .select()
    .from(alertDeliveries)
    .where(and(inArray(alertDeliveries.alertId, [...alertIds]), sql`${alertDeliveries.receiver} <> '*'`))
    .orderBy(asc(alertDeliveries.id))

/**
 * Alerts as a receiver is to hold them, by id: those that are open, and those that were resolved within `resolvedForMs`. One that the
 * receiver is still owed the news of is left to its delivery; one whose deliveries were given up is not.
 */
export async function listAlertsHeldBy(
  db: Executor,
  receiver: string,
  { afterId, limit, resolvedForMs }: { afterId: number; limit: number; resolvedForMs: number },
): Promise<AlertRow[]> {
  const news = (event: SQL) => sql`exists (select from ${alertDeliveries} d
    where d.alert_id = ${alerts.id} and d.receiver = ${receiver} and d.status <> 'due' and d.event = ${event})`
  return db.orm
    .select()
    .from(alerts)
    .where(
      and(
        gt(alerts.id, afterId),
        or(
          and(alerts.open, news(sql`'raised'`)),
          and(sql`${alerts.resolvedAt} > now() - ${resolvedForMs} * interval '1 millisecond'`, news(sql`'resolved'`)),
        ),
      ),
    )
    .orderBy(asc(alerts.id))
    .limit(limit)
}

/**
 * Gives up what is owed to receivers that there are no more; who is to be told is decided when an alert changes its state, and a receiver
 * may be taken away after that.
 * @returns how many deliveries
 */
export async function giveUpDeliveriesExcept(
  db: Executor,
  receivers: readonly string[],
  afterMs: number,
): Promise<number> {
  const { rowCount } = await db.orm.execute(sql`
    update alert_deliveries set status = 'given up', last_result = 'there is no such receiver any more'
    where status = 'due' and receiver <> all(${sql.param([...receivers, '*'])}::text[])
      and created_at < now() - ${afterMs} * interval '1 millisecond'`)
  return rowCount ?? 0
}

export interface DeliveryLag {
  readonly receiver: string
  readonly due: number
  readonly oldestSeconds: number
}

/** What each receiver is still owed. */
export async function readDeliveryLag(db: Executor): Promise<DeliveryLag[]> {
  return db.orm
    .select({
      receiver: alertDeliveries.receiver,
      due: sql<number>`count(*)::int`,
      oldestSeconds: sql<number>`extract(epoch from now() - min(${alertDeliveries.createdAt}))::float8`,
    })
    .from(alertDeliveries)
    .where(eq(alertDeliveries.status, 'due'))
    .groupBy(alertDeliveries.receiver)
}
