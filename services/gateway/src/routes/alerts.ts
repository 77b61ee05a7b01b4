import {
  Alert,
  AlertDetails,
  AlertList,
  AlertListQuery,
  AlertParams,
  NewSilence,
  Silence,
  SilenceList,
  SilenceParams,
  WikiParams,
} from '@tagloom/contracts'
import {
  type AlertRow,
  acknowledgeAlert,
  addSilence,
  type DeliveryRow,
  endSilence,
  listAlerts,
  type RulesOfWiki,
  readAlert,
  readAlertRules,
  readDeliveries,
  readSilences,
  readTransitions,
  type SilenceRow,
  type TransitionRow,
} from '@tagloom/database'
import Type from 'typebox'
import { type Caller, refuseOtherWiki } from '../auth/authenticate.ts'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Alerts']

export const alertRoutes: Routes =
  ({ db, relay }) =>
  async (app) => {
    app.get(
      '/api/wikis/:wiki_id/alerts',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'listAlerts',
          summary: 'List alerts, newest first, with every change of their state',
          params: WikiParams,
          querystring: AlertListQuery,
          response: { 200: AlertList },
        },
      },
      async ({ params, query }) => {
        const wiki = await findWiki(db, params.wiki_id)
        const limit = query.limit!
        const [beforeId] = decodeCursor(query.cursor, 'id') ?? []
        const rows = await listAlerts(db, {
          wikiId: wiki.id,
          limit: limit + 1,
          beforeId,
          states: query.state && [query.state],
          severity: query.severity,
          rule: query.rule,
        })
        const steps = await transitionsOf(rows)
        return toList(
          rows,
          limit,
          (row) => [row.id],
          (row) => toAlert(row, steps.get(row.id)),
        )
      },
    )

    app.get(
      '/api/alerts/:alert_id',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'getAlert',
          summary: 'One alert, with whom it was told to and each try',
          params: AlertParams,
          response: { 200: AlertDetails },
        },
      },
      async ({ params, caller }) => {
        const row = await findAlert(caller, params.alert_id)
        const steps = await transitionsOf([row])
        const deliveries = await readDeliveries(db, [row.id])
        return { ...toAlert(row, steps.get(row.id)), deliveries: deliveries.map(toDelivery) }
      },
    )

    app.post(
      '/api/alerts/:alert_id/ack',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'acknowledgeAlert',
          summary: 'Acknowledge a firing alert; a second time changes nothing',
          params: AlertParams,
          response: { 200: Alert },
        },
      },
      async ({ params, caller }) => {
        await findAlert(caller, params.alert_id)
        const done = await relay.commit((tx) => acknowledgeAlert(tx, params.alert_id, caller.name))
        if (!done) throw new ProblemError('alert_not_found', `There is no alert ${params.alert_id}`)
        if ('refused' in done)
          throw new ProblemError(
            'alert_state_conflict',
            `Alert ${params.alert_id} is ${done.refused}; only a firing one can be acknowledged`,
          )
        return toAlert(done.alert, (await transitionsOf([done.alert])).get(params.alert_id))
      },
    )

    app.post(
      '/api/wikis/:wiki_id/silences',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'createSilence',
          summary: 'Keep receivers from hearing of alerts until a time',
          params: WikiParams,
          body: NewSilence,
          response: { 201: Silence },
        },
      },
      async ({ params, body, caller }, reply) => {
        const wiki = await findWiki(db, params.wiki_id)
        const endsAt = new Date(body.ends_at)
        if (!(endsAt.getTime() > Date.now()))
          throw new ProblemError('validation_failed', `body/ends_at expected a time to come, got ${body.ends_at}`)
        if (body.rule) refuseUnknown(body.rule, await readAlertRules(db, wiki.id))
        const row = await relay.commit((tx) =>
          addSilence(tx, {
            wikiId: wiki.id,
            rule: body.rule ?? null,
            reason: body.reason,
            createdBy: caller.name,
            endsAt,
          }),
        )
        return reply.code(201).send(toSilence(row))
      },
    )

    app.get(
      '/api/wikis/:wiki_id/silences',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'listSilences',
          summary: 'Silences that hold now',
          params: WikiParams,
          response: { 200: SilenceList },
        },
      },
      async ({ params }) => {
        const wiki = await findWiki(db, params.wiki_id)
        return { items: (await readSilences(db, wiki.id)).map(toSilence) }
      },
    )

    app.delete(
      '/api/wikis/:wiki_id/silences/:silence_id',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'endSilence',
          summary: 'End a silence now; alerts that still hold fire within a minute',
          params: SilenceParams,
          response: { 204: Type.Null() },
        },
      },
      async ({ params }, reply) => {
        await findWiki(db, params.wiki_id)
        if (!(await relay.commit((tx) => endSilence(tx, params.wiki_id, params.silence_id))))
          throw new ProblemError(
            'silence_not_found',
            `Wiki ${params.wiki_id} has no silence ${params.silence_id} that holds`,
          )
        return reply.code(204).send(null)
      },
    )

    /** An alert's path names no wiki, so whether the caller may see it is asked here. */
    async function findAlert(caller: Caller, alertId: number): Promise<AlertRow> {
      const row = await readAlert(db, alertId)
      if (!row) throw new ProblemError('alert_not_found', `There is no alert ${alertId}`)
      refuseOtherWiki(caller, row.wikiId)
      return row
    }

    async function transitionsOf(rows: readonly AlertRow[]): Promise<Map<number, TransitionRow[]>> {
      if (rows.length === 0) return new Map()
      return Map.groupBy(
        await readTransitions(
          db,
          rows.map((row) => row.id),
        ),
        (step) => step.alertId,
      )
    }
  }

/** A silence of a rule that there is not would keep nobody from hearing of anything. */
function refuseUnknown(rule: string, { rules }: RulesOfWiki): void {
  if (rules.some((known) => known.rule === rule)) return
  const known = rules.map((known) => known.rule).join(', ')
  throw new ProblemError(
    'validation_failed',
    `body/rule expected a rule of the wiki (${known || 'it has none'}), got ${rule}`,
  )
}

const iso = (at: Date | null): string | null => at?.toISOString() ?? null

const toAlert = (row: AlertRow, steps: readonly TransitionRow[] = []): Alert => ({
  id: row.id,
  wiki_id: row.wikiId,
  rule: row.rule,
  severity: row.severity,
  state: row.state,
  metric: row.metric,
  value: row.value,
  threshold: row.threshold,
  message: row.message,
  action: row.action,
  runbook: row.runbook,
  first_job_id: row.firstJobId,
  last_job_id: row.lastJobId,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
  raised_at: iso(row.raisedAt),
  resolved_at: iso(row.resolvedAt),
  transitions: steps.map((step) => ({
    from: step.fromState,
    to: step.toState,
    at: step.createdAt.toISOString(),
    by: step.by,
    job_id: step.jobId,
    value: step.value,
  })),
})

const toDelivery = (row: DeliveryRow): AlertDetails['deliveries'][number] => ({
  receiver: row.receiver,
  event: row.event,
  key: row.deliveryKey,
  status: row.status,
  attempts: row.attempts,
  next_attempt_at: row.status === 'due' ? iso(row.nextAttemptAt) : null,
  delivered_at: iso(row.deliveredAt),
  tries: [...row.log],
})

const toSilence = (row: SilenceRow): Silence => ({
  id: row.id,
  rule: row.rule,
  reason: row.reason,
  created_by: row.createdBy,
  created_at: row.createdAt.toISOString(),
  ends_at: row.endsAt.toISOString(),
})
