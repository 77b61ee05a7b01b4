import {
  type AlertRule,
  type AlertState,
  defaultAlertRules,
  type OpenAlert,
  type Severity,
  type Step,
} from '@tagloom/contracts'
import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { alertDeliveries, alertRules, alertSilences, alerts, alertTransitions } from './schema/metrics.ts'

/*
 * Alerts as rows. The states and their rules are in contracts/alert-evaluation.ts; here every transition is stored with who and when,
 * and owes receivers its news in the same transaction (a delivery to '*', which the aggregator turns into one for each receiver).
 */

export type AlertRow = typeof alerts.$inferSelect
export type SilenceRow = typeof alertSilences.$inferSelect
export type TransitionRow = typeof alertTransitions.$inferSelect

export interface RulesOfWiki {
  readonly rules: readonly AlertRule[]
  /** Whether the wiki has none of its own */
  readonly isDefault: boolean
  readonly updatedAt: Date | null
  readonly updatedBy: string | null
}

export async function readAlertRules(db: Executor, wikiId: number): Promise<RulesOfWiki> {
  const rows = await db.orm.select().from(alertRules).where(eq(alertRules.wikiId, wikiId))
  const own = rows[0]
  return own
    ? { rules: own.rules, isDefault: false, updatedAt: own.updatedAt, updatedBy: own.updatedBy }
    : { rules: defaultAlertRules, isDefault: true, updatedAt: null, updatedBy: null }
}

/** Gives a wiki rules of its own; with null the default rules hold again. */
export async function saveAlertRules(
  tx: Transaction,
  wikiId: number,
  rules: readonly AlertRule[] | null,
  by: string,
): Promise<void> {
  if (rules === null) {
    await tx.orm.delete(alertRules).where(eq(alertRules.wikiId, wikiId))
    return
  }
  const row = { rules: [...rules], updatedBy: by, updatedAt: sql`now()` as never }
  await tx.orm
    .insert(alertRules)
    .values({ wikiId, ...row })
    .onConflictDoUpdate({ target: alertRules.wikiId, set: row })
}

/** Lets one transaction at a time judge the runs of a wiki. */
export async function lockWikiAlerts(tx: Transaction, wikiId: number): Promise<void> {
  await tx.orm.execute(sql`select pg_advisory_xact_lock(7424567, ${wikiId})`)
}

/** The open alerts of a wiki by rule, held until the transaction ends. */
export async function holdOpenAlerts(tx: Transaction, wikiId: number): Promise<Map<string, AlertRow>> {
  const rows = await tx.orm
    .select()
    .from(alerts)
    .where(and(eq(alerts.wikiId, wikiId), alerts.open))
    .for('update')
  return new Map(rows.map((row) => [row.rule, row]))
}

export const openAlertOf = (row: AlertRow): OpenAlert => ({
  state: row.state as OpenAlert['state'],
  runsCrossed: row.runsCrossed,
  runsClear: row.runsClear,
  raised: row.raisedAt !== null,
})

export interface AppliedStep {
  readonly wikiId: number
  readonly rule: AlertRule
  readonly row: AlertRow | undefined
  readonly step: Step
  readonly value: number | null
  readonly message: string
  readonly jobId: string | null
  /** Who: 'aggregator', or the name of a key */
  readonly by: string
}

/** Stores what a step changed. @returns the alert's row, or undefined when there was nothing to store */
export async function applyStep(tx: Transaction, applied: AppliedStep): Promise<AlertRow | undefined> {
  const { row, step, rule } = applied
  if (!row && !step.alert) return undefined
  const next = {
    ...(step.alert
      ? { state: step.alert.state, runsCrossed: step.alert.runsCrossed, runsClear: step.alert.runsClear }
      : { state: 'resolved' as const, open: false, resolvedAt: sql`now()` as never }),
    ...(step.tell === 'raised' ? { raisedAt: sql`now()` as never } : {}),
    value: applied.value,
    ...(step.to === 'resolved' && row ? {} : { ...factsOf(rule), message: applied.message }),
    lastJobId: applied.jobId,
    updatedAt: sql`now()` as never,
  }
  const stored = row
    ? await tx.orm.update(alerts).set(next).where(eq(alerts.id, row.id)).returning()
    : await tx.orm
        .insert(alerts)
        .values({ ...newAlert(applied), ...next, firstJobId: applied.jobId })
        .returning()
  const alert = stored[0] as AlertRow
  if (step.to) await addTransition(tx, alert, row?.state ?? null, step.to, applied)
  if (step.tell) await owe(tx, alert.id, step.tell)
  return alert
}

/** What an open alert takes from its rule at each step: a rule may have got other values since. */
const factsOf = (rule: AlertRule) => ({ threshold: rule.firing, action: rule.action, runbook: rule.runbook ?? null })

const newAlert = ({ wikiId, rule, message }: AppliedStep) => ({
  wikiId,
  rule: rule.rule,
  severity: rule.severity,
  metric: rule.metric,
  ...factsOf(rule),
  message,
})

async function addTransition(
  tx: Transaction,
  alert: AlertRow,
  from: AlertState | null,
  to: AlertState,
  of: { readonly jobId: string | null; readonly value: number | null; readonly by: string },
): Promise<void> {
  await tx.orm
    .insert(alertTransitions)
    .values({ alertId: alert.id, fromState: from, toState: to, jobId: of.jobId, value: of.value, by: of.by })
}

/** Owes every receiver the news of an alert. The key makes it one debt however often it is written. */
async function owe(tx: Transaction, alertId: number, event: 'raised' | 'acknowledged' | 'resolved'): Promise<void> {
  await tx.orm
    .insert(alertDeliveries)
    .values({ alertId, event, receiver: '*', deliveryKey: `alert.${alertId}.${event}` })
    .onConflictDoNothing()
}

/** Closes an alert whose rule is gone or switched off. */
export async function closeAlert(tx: Transaction, row: AlertRow, by: string): Promise<AlertRow> {
  const stored = await tx.orm
    .update(alerts)
    .set({ state: 'resolved', open: false, resolvedAt: sql`now()` as never, updatedAt: sql`now()` as never })
    .where(eq(alerts.id, row.id))
    .returning()
  await addTransition(tx, row, row.state, 'resolved', { jobId: row.lastJobId, value: row.value, by })
  if (row.raisedAt) await owe(tx, row.id, 'resolved')
  return stored[0] as AlertRow
}

export type Acknowledged = { readonly alert: AlertRow } | { readonly refused: AlertState } | undefined

/** Acknowledges a firing alert. A second time changes nothing. @returns undefined when there is no such alert */
export async function acknowledgeAlert(tx: Transaction, alertId: number, by: string): Promise<Acknowledged> {
  const [row] = await tx.orm.select().from(alerts).where(eq(alerts.id, alertId)).for('update')
  if (!row) return undefined
  if (row.state === 'acknowledged') return { alert: row }
  if (row.state !== 'firing') return { refused: row.state }
  const stored = await tx.orm
    .update(alerts)
    .set({ state: 'acknowledged', updatedAt: sql`now()` as never })
    .where(eq(alerts.id, alertId))
    .returning()
  await addTransition(tx, row, row.state, 'acknowledged', { jobId: row.lastJobId, value: row.value, by })
  await owe(tx, alertId, 'acknowledged')
  return { alert: stored[0] as AlertRow }
}

export async function readAlert(db: Executor, alertId: number): Promise<AlertRow | undefined> {
  const rows = await db.orm.select().from(alerts).where(eq(alerts.id, alertId))
  return rows[0]
}

export interface ListAlerts {
  readonly wikiId: number
  readonly limit: number
  readonly beforeId?: number | undefined
  readonly states?: readonly AlertState[] | undefined
  readonly severity?: Severity | undefined
  readonly rule?: string | undefined
}

/** Newest first. */
export const listAlerts = (db: Executor, list: ListAlerts): Promise<AlertRow[]> =>
  db.orm
    .select()
    .from(alerts)
    .where(
      and(
        eq(alerts.wikiId, list.wikiId),
        list.beforeId === undefined ? undefined : lt(alerts.id, list.beforeId),
        list.states && inArray(alerts.state, [...list.states]),
        list.severity && eq(alerts.severity, list.severity),
        list.rule === undefined ? undefined : eq(alerts.rule, list.rule),
      ),
    )
    .orderBy(desc(alerts.id))
    .limit(list.limit)

export const readTransitions = (db: Executor, alertIds: readonly number[]): Promise<TransitionRow[]> =>
  db.orm
    .select()
    .from(alertTransitions)
    .where(inArray(alertTransitions.alertId, [...alertIds]))
    .orderBy(asc(alertTransitions.id))

/** Silences that hold now, of one rule or of all. */
export const readSilences = (db: Executor, wikiId: number): Promise<SilenceRow[]> =>
  db.orm
    .select()
    .from(alertSilences)
    .where(and(eq(alertSilences.wikiId, wikiId), gt(alertSilences.endsAt, sql`now()`)))
    .orderBy(asc(alertSilences.id))

export const isSilenced = (silences: readonly SilenceRow[], rule: string): boolean =>
  silences.some((silence) => silence.rule === null || silence.rule === rule)

export interface NewSilence {
  readonly wikiId: number
  readonly rule: string | null
  readonly reason: string
  readonly createdBy: string
  readonly endsAt: Date
}

/** Keeps receivers from hearing of a wiki's alerts until it ends; alerts that fire already become silenced. */
export async function addSilence(tx: Transaction, silence: NewSilence): Promise<SilenceRow> {
  await lockWikiAlerts(tx, silence.wikiId)
  const rows = await tx.orm.insert(alertSilences).values(silence).returning()
  const firing = await tx.orm
    .select()
    .from(alerts)
    .where(
      and(
        eq(alerts.wikiId, silence.wikiId),
        eq(alerts.state, 'firing'),
        silence.rule === null ? undefined : eq(alerts.rule, silence.rule),
      ),
    )
    .for('update')
  for (const row of firing) await changeState(tx, row, 'silenced', silence.createdBy)
  return rows[0] as SilenceRow
}

async function changeState(tx: Transaction, row: AlertRow, to: AlertState, by: string): Promise<void> {
  await tx.orm
    .update(alerts)
    .set({ state: to, updatedAt: sql`now()` as never })
    .where(eq(alerts.id, row.id))
  await addTransition(tx, row, row.state, to, { jobId: row.lastJobId, value: row.value, by })
}

/** @returns false when there is no such silence, or it has ended */
export async function endSilence(tx: Transaction, wikiId: number, silenceId: number): Promise<boolean> {
  const rows = await tx.orm
    .update(alertSilences)
    .set({ endsAt: sql`now()` as never })
    .where(and(eq(alertSilences.id, silenceId), eq(alertSilences.wikiId, wikiId), gt(alertSilences.endsAt, sql`now()`)))
    .returning({ id: alertSilences.id })
  return rows.length > 0
}

/** Lets silenced alerts fire whose silence is over. @returns those that receivers are now told of */
export async function wakeSilencedAlerts(tx: Transaction): Promise<AlertRow[]> {
  const rows = await tx.orm
    .select()
    .from(alerts)
    .where(
      and(
        eq(alerts.state, 'silenced'),
        sql`not exists (select from ${alertSilences} s where s.wiki_id = ${alerts.wikiId}
            and (s.rule is null or s.rule = ${alerts.rule}) and s.ends_at > now())`,
      ),
    )
    .limit(1000)
    .for('update', { skipLocked: true })
  const told: AlertRow[] = []
  for (const row of rows) {
    await changeState(tx, row, 'firing', 'aggregator')
    if (row.raisedAt) continue
    const [raised] = await tx.orm
      .update(alerts)
      .set({ raisedAt: sql`now()` as never })
      .where(and(eq(alerts.id, row.id), isNull(alerts.raisedAt)))
      .returning()
    await owe(tx, row.id, 'raised')
    if (raised) told.push(raised)
  }
  return told
}

export interface WikiAge {
  readonly wikiId: number
  readonly days: number
  /** Rules of its own; null: the default rules */
  readonly rules: readonly AlertRule[] | null
}

/**
 * Days since the last run of every wiki, or of one: by its current job, no look at older runs. A wiki that never had a run is counted from
 * when it was made: that its first job keeps failing is what somebody wants to hear.
 */
export async function readWikiAges(db: Executor, wikiId?: number): Promise<WikiAge[]> {
  const result = await db.orm.execute<{ wiki_id: number; days: number; rules: AlertRule[] | null }>(sql`
    select w.id as wiki_id, extract(epoch from now() - coalesce(j.ended_at, w.created_at))::float8 / 86400 as days, r.rules
    from wikis w left join jobs j on j.id = w.current_job_id left join alert_rules r on r.wiki_id = w.id
    ${wikiId === undefined ? sql`` : sql`where w.id = ${wikiId}`}`)
  return result.rows.map((row) => ({ wikiId: row.wiki_id, days: row.days, rules: row.rules }))
}

export interface OpenAlertsOfWiki {
  readonly wikiId: number
  readonly alerts: readonly Pick<AlertRow, 'rule' | 'metric' | 'severity'>[]
  readonly rules: readonly AlertRule[]
}

/** The open alerts of every wiki that has any, beside its rules. */
export async function readOpenAlerts(db: Executor): Promise<OpenAlertsOfWiki[]> {
  const result = await db.orm.execute<{
    wiki_id: number
    alerts: OpenAlertsOfWiki['alerts']
    rules: AlertRule[] | null
  }>(sql`
    select a.wiki_id, a.alerts, r.rules from (
      select wiki_id, json_agg(json_build_object('rule', rule, 'metric', metric, 'severity', severity)) as alerts
      from alerts where open group by wiki_id) a
    left join alert_rules r on r.wiki_id = a.wiki_id`)
  return result.rows.map((row) => ({ wikiId: row.wiki_id, alerts: row.alerts, rules: row.rules ?? defaultAlertRules }))
}

/** How many alerts are in each state and severity; resolved ones of the last day. */
export async function countAlerts(db: Executor): Promise<{ state: AlertState; severity: Severity; count: number }[]> {
  return db.orm
    .select({ state: alerts.state, severity: alerts.severity, count: sql<number>`count(*)::int` })
    .from(alerts)
    .where(or(alerts.open, gt(alerts.resolvedAt, sql`now() - interval '1 day'`)))
    .groupBy(alerts.state, alerts.severity)
}
