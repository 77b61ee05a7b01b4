import {
  type AlertRule,
  AlertRulesOfWiki,
  checkRules,
  isClockMetric,
  NewAlertRules,
  NewRulePreview,
  previewRule,
  RulePreview,
  WikiParams,
} from '@tagloom/contracts'
import { type RulesOfWiki, readAlertRules, readRunTotals, readSeries, saveAlertRules } from '@tagloom/database'
import Type from 'typebox'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Alerts']

export const alertRuleRoutes: Routes =
  ({ db, relay }) =>
  async (app) => {
    app.get(
      '/api/wikis/:wiki_id/alert-rules',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'getAlertRules',
          summary: 'The rules of a wiki, or the default rules',
          params: WikiParams,
          response: { 200: AlertRulesOfWiki },
        },
      },
      async ({ params }) => {
        const wiki = await findWiki(db, params.wiki_id)
        return toRules(await readAlertRules(db, wiki.id))
      },
    )

    app.put(
      '/api/wikis/:wiki_id/alert-rules',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'putAlertRules',
          summary: 'Give a wiki rules of its own, all at once',
          params: WikiParams,
          body: NewAlertRules,
          response: { 200: AlertRulesOfWiki },
        },
      },
      async ({ params, body, caller }) => {
        const wiki = await findWiki(db, params.wiki_id)
        refuseBadRules(body.rules, 'body/rules')
        await relay.commit((tx) => saveAlertRules(tx, wiki.id, body.rules, caller.name))
        return toRules(await readAlertRules(db, wiki.id))
      },
    )

    app.delete(
      '/api/wikis/:wiki_id/alert-rules',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'deleteAlertRules',
          summary: "Drop a wiki's own rules: the default rules hold again",
          params: WikiParams,
          response: { 204: Type.Null() },
        },
      },
      async ({ params, caller }, reply) => {
        const wiki = await findWiki(db, params.wiki_id)
        await relay.commit((tx) => saveAlertRules(tx, wiki.id, null, caller.name))
        return reply.code(204).send(null)
      },
    )

    app.post(
      '/api/wikis/:wiki_id/alert-rules/preview',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'previewAlertRule',
          summary: 'Try a rule against past runs: which would have fired',
          params: WikiParams,
          body: NewRulePreview,
          response: { 200: RulePreview },
        },
      },
      async ({ params, body }) => {
        const wiki = await findWiki(db, params.wiki_id)
        refuseBadRules([body.rule], 'body/rule')
        if (isClockMetric(body.rule.metric))
          throw new ProblemError(
            'bad_request',
            `${body.rule.metric} is looked at by the clock: expected a metric of runs`,
          )
        const shown = body.runs ?? previewedRuns
        const series = await readSeries(db, wiki.id, shown + replayedBefore)
        const { baselineFigures } = await readRunTotals(db, wiki.id)
        const runs = previewRule(body.rule, series, baselineFigures, shown)
        return { runs, raised: runs.filter((run) => run.told === 'raised').length }
      },
    )
  }

const previewedRuns = 100
/** An alert that was open longer than this many runs before the first shown one is previewed as if it were not. */
const replayedBefore = 200

/** @throws ProblemError with the path of each thing that is wrong */
function refuseBadRules(rules: readonly AlertRule[], at: string): void {
  const errors = checkRules(rules)
  if (errors.length === 0) return
  const single = at.endsWith('/rule')
  const told = errors.map(({ path, message }) => `${at}${single ? path.replace('/0', '') : path} ${message}`)
  throw new ProblemError('validation_failed', told.join('; '))
}

const toRules = (of: RulesOfWiki): AlertRulesOfWiki => ({
  rules: [...of.rules],
  is_default: of.isDefault,
  updated_at: of.updatedAt?.toISOString() ?? null,
  updated_by: of.updatedBy,
})
