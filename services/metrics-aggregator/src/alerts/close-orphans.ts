import type { AlertRule } from '@tagloom/contracts'
import { type AlertRow, closeAlert, type JobOrigin, type RulesOfWiki, type Transaction } from '@tagloom/database'
import type { Owe } from '@tagloom/service-kit'
import { announcement } from './announce.ts'

type Named = Pick<AlertRow, 'rule' | 'metric' | 'severity'>

/**
 * Whether an alert is of this rule as it is now. Of another metric it would be another statement under the same name; of another severity
 * it would be of other receivers, and Alertmanager would know it under other labels.
 */
const isOf = (alert: Named, rule: AlertRule): boolean =>
  rule.enabled && rule.rule === alert.rule && rule.metric === alert.metric && rule.severity === alert.severity

export const isOrphan = (alert: Named, rules: readonly AlertRule[]): boolean => !rules.some((rule) => isOf(alert, rule))

/**
 * Ends the alerts whose rule is gone, switched off or another one now, and takes them out of `open`.
 * @param originOf the job that the news is told of
 */
export async function closeOrphans(
  tx: Transaction,
  owe: Owe,
  { rules, updatedBy }: RulesOfWiki,
  open: Map<string, AlertRow>,
  originOf: (alert: AlertRow) => JobOrigin | undefined,
): Promise<void> {
  for (const row of [...open.values()]) {
    if (!isOrphan(row, rules)) continue
    const closed = await closeAlert(tx, row, updatedBy ?? 'rules')
    open.delete(row.rule)
    if (row.raisedAt) owe(announcement('resolved', closed, originOf(closed)))
  }
}
