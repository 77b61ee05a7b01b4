import {
  type AlertRule,
  alertMessage,
  clockMetrics,
  defaultAlertRules,
  isClockMetric,
  stepAlert,
} from '@tagloom/contracts'
import {
  applyStep,
  type Database,
  holdOpenAlerts,
  isSilenced,
  lockWikiAlerts,
  openAlertOf,
  readSilences,
  readWikiAges,
  type Transaction,
  wakeSilencedAlerts,
  wikisWithOpenAlerts,
} from '@tagloom/database'
import type { Owe, Relay } from '@tagloom/service-kit'
import { announcement } from './announce.ts'
import { withRunbookAt } from './runbook-base.ts'

export interface ClockOptions {
  readonly signal?: AbortSignal
  /** See withRunbookAt */
  readonly runbookBase?: string
}

/**
 * What no run brings about: alerts of wikis that had no run for long, and silences that end. Both are looked at by the clock; a rule of a
 * clock metric fires and clears at once, whatever number of runs it names. Any number of replicas may do it: the wiki's lock makes it once.
 */
export async function judgeByClock(
  db: Database,
  commit: Relay['commit'],
  { signal, runbookBase = '' }: ClockOptions = {},
): Promise<void> {
  const open = await wikisWithOpenAlerts(db, clockMetrics)
  for (const { wikiId, days, rules } of await readWikiAges(db)) {
    if (signal?.aborted) return
    const clockRules = (rules ?? defaultAlertRules)
      .filter((rule) => rule.enabled && isClockMetric(rule.metric))
      .map((rule) => withRunbookAt(runbookBase, rule))
    const worthALook = open.has(wikiId) || clockRules.some((rule) => outside(rule, days))
    if (worthALook) await commit((tx, owe) => judgeWiki(tx, owe, wikiId, days, clockRules))
  }
  await commit(async (tx, owe) => {
    for (const alert of await wakeSilencedAlerts(tx)) owe(announcement('raised', alert))
  })
}

const outside = (rule: AlertRule, days: number): boolean =>
  rule.comparison === 'above' ? days > rule.firing : days < rule.firing

async function judgeWiki(
  tx: Transaction,
  owe: Owe,
  wikiId: number,
  days: number,
  rules: readonly AlertRule[],
): Promise<void> {
  await lockWikiAlerts(tx, wikiId)
  const open = await holdOpenAlerts(tx, wikiId)
  const silences = await readSilences(tx, wikiId)
  for (const rule of rules) {
    const atOnce = { ...rule, runs_before_firing: 1, runs_before_clearing: 1 }
    const row = open.get(rule.rule)
    const seen = { value: days, baseline: null }
    const step = stepAlert(atOnce, row && openAlertOf(row), seen, isSilenced(silences, rule.rule))
    if (!step.to) continue
    const message = alertMessage(rule, seen)
    const alert = await applyStep(tx, { wikiId, rule, row, step, value: days, message, jobId: null, by: 'aggregator' })
    if (alert && step.tell) owe(announcement(step.tell, alert))
  }
}
