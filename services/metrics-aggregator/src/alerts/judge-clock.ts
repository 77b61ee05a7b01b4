import { type AlertRule, alertMessage, defaultAlertRules, isClockMetric, stepAlert } from '@tagloom/contracts'
import {
  applyStep,
  type Database,
  holdOpenAlerts,
  isSilenced,
  lockWikiAlerts,
  openAlertOf,
  readAlertRules,
  readJobOrigins,
  readOpenAlerts,
  readSilences,
  readWikiAges,
  type Transaction,
  type WikiAge,
  wakeSilencedAlerts,
} from '@tagloom/database'
import type { Owe, Relay } from '@tagloom/service-kit'
import { announcement } from './announce.ts'
import { closeOrphans, isOrphan } from './close-orphans.ts'
import { withRunbookAt } from './runbook-base.ts'

export interface ClockOptions {
  readonly signal?: AbortSignal
  /** See withRunbookAt */
  readonly runbookBase?: string
}

/**
 * What no run brings about, looked at by the clock: rules that were dropped or changed while their alert was open, wikis that had no run for
 * long, and silences that end, in this order: what a dropped rule left must not fire when its silence ends. A rule of a clock metric fires
 * and clears at once, whatever number of runs it names. Any number of replicas may do it: the wiki's lock makes it once.
 */
export async function judgeByClock(
  db: Database,
  commit: Relay['commit'],
  { signal, runbookBase = '' }: ClockOptions = {},
): Promise<void> {
  const open = new Map((await readOpenAlerts(db)).map((wiki) => [wiki.wikiId, wiki]))
  for (const { wikiId, alerts, rules } of open.values()) {
    if (signal?.aborted) return
    if (alerts.some((alert) => isOrphan(alert, rules))) await commit((tx, owe) => closeOrphansOf(tx, owe, wikiId))
  }
  for (const age of await readWikiAges(db)) {
    if (signal?.aborted) return
    const known = open.get(age.wikiId)?.alerts ?? []
    const worthALook =
      known.some((alert) => isClockMetric(alert.metric)) || clockRulesOf(age).some((rule) => outside(rule, age.days))
    if (worthALook) await commit((tx, owe) => judgeWiki(tx, owe, age.wikiId, runbookBase))
  }
  await commit(async (tx, owe) => {
    const woken = await wakeSilencedAlerts(tx)
    const origins = await readJobOrigins(tx, jobsOf(woken))
    for (const alert of woken) owe(announcement('raised', alert, origins.get(alert.lastJobId ?? '')))
  })
}

const jobsOf = (alerts: Iterable<{ readonly lastJobId: string | null }>): string[] =>
  [...alerts].flatMap(({ lastJobId }) => lastJobId ?? [])

async function closeOrphansOf(tx: Transaction, owe: Owe, wikiId: number): Promise<void> {
  await lockWikiAlerts(tx, wikiId)
  const rules = await readAlertRules(tx, wikiId)
  const open = await holdOpenAlerts(tx, wikiId)
  const origins = await readJobOrigins(tx, jobsOf(open.values()))
  await closeOrphans(tx, owe, rules, open, ({ lastJobId }) => origins.get(lastJobId ?? ''))
}

const clockRulesOf = ({ rules }: WikiAge): readonly AlertRule[] =>
  (rules ?? defaultAlertRules).filter((rule) => rule.enabled && isClockMetric(rule.metric))

const outside = (rule: AlertRule, days: number): boolean =>
  rule.comparison === 'above' ? days > rule.firing : days < rule.firing

async function judgeWiki(tx: Transaction, owe: Owe, wikiId: number, runbookBase: string): Promise<void> {
  await lockWikiAlerts(tx, wikiId)
  // Once more, under the lock: a run may have come since.
  const [age] = await readWikiAges(tx, wikiId)
  if (!age) return
  const open = await holdOpenAlerts(tx, wikiId)
  const silences = await readSilences(tx, wikiId)
  for (const rule of clockRulesOf(age).map((rule) => withRunbookAt(runbookBase, rule))) {
    const atOnce = { ...rule, runs_before_firing: 1, runs_before_clearing: 1 }
    const row = open.get(rule.rule)
    const seen = { value: age.days, baseline: null }
    const step = stepAlert(atOnce, row && openAlertOf(row), seen, isSilenced(silences, rule.rule))
    if (!step.to) continue
    const message = alertMessage(rule, seen)
    const value = age.days
    const alert = await applyStep(tx, { wikiId, rule, row, step, value, message, jobId: null, by: 'aggregator' })
    if (alert && step.tell) owe(announcement(step.tell, alert))
  }
}
