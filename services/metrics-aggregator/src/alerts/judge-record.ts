import {
  alertMessage,
  baselineRuns,
  isClockMetric,
  metricList,
  metricValue,
  observe,
  type RunRecord,
  stepAlert,
} from '@tagloom/contracts'
import {
  applyStep,
  type Figures,
  holdOpenAlerts,
  isSilenced,
  type Job,
  openAlertOf,
  readAlertRules,
  readRunTotals,
  readSeriesBefore,
  readSilences,
  type Transaction,
} from '@tagloom/database'
import type { Owe } from '@tagloom/service-kit'
import { announcement } from './announce.ts'
import { closeOrphans } from './close-orphans.ts'
import { withRunbookAt } from './runbook-base.ts'

/** Puts a run before every rule of its wiki, within the caller's transaction and under the wiki's lock. */
export async function judgeRecord(
  tx: Transaction,
  owe: Owe,
  record: RunRecord,
  job: Job,
  runbookBase = '',
): Promise<void> {
  const wikiId = record.wiki_id
  const rules = await readAlertRules(tx, wikiId)
  const open = await holdOpenAlerts(tx, wikiId)
  await closeOrphans(tx, owe, rules, open, () => job)
  const silences = await readSilences(tx, wikiId)
  const { baselineFigures } = await readRunTotals(tx, wikiId)
  const before = await readSeriesBefore(tx, wikiId, record.job_id, baselineRuns)
  const figures = figuresOf(record)
  for (const rule of rules.rules) {
    if (!rule.enabled || isClockMetric(rule.metric)) continue
    const seen = observe(rule, figures, before, baselineFigures)
    // A run without the metric, or before there is a baseline, says nothing of the rule.
    if (seen.value === null) continue
    const row = open.get(rule.rule)
    const step = stepAlert(rule, row && openAlertOf(row), seen, isSilenced(silences, rule.rule))
    if (!row && !step.alert) continue
    const message = alertMessage(rule, seen)
    const alert = await applyStep(tx, {
      wikiId,
      rule: withRunbookAt(runbookBase, rule),
      row,
      step,
      value: seen.value,
      message,
      jobId: record.job_id,
      by: 'aggregator',
    })
    if (alert && step.tell) owe(announcement(step.tell, alert, job))
  }
}

const figuresOf = (record: RunRecord): Figures =>
  Object.fromEntries(metricList.map((metric) => [metric.name, metricValue(record, metric.name)]))
