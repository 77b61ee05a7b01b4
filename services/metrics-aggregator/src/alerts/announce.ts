import { type EnvelopeContext, events, toMessage } from '@tagloom/contracts'
import { type AlertRow, addOutbox, type Transaction } from '@tagloom/database'

type Origin = { readonly traceparent: string | null; readonly requestId: string | null }

/** Owes the bus the news of an alert. The dedupe key is the alert's: told once however often it is published. */
export async function announce(
  tx: Transaction,
  what: 'raised' | 'resolved',
  alert: AlertRow,
  origin?: Origin,
): Promise<void> {
  const context: EnvelopeContext = {
    source: 'metrics-aggregator',
    traceparent: origin?.traceparent ?? undefined,
    requestId: origin?.requestId ?? undefined,
  }
  const { wikiId: wiki_id, id: alert_id, rule, severity, metric, value, threshold, message, action } = alert
  const known = {
    wiki_id,
    alert_id,
    rule,
    severity,
    metric,
    value,
    message,
    ...(alert.lastJobId ? { job_id: alert.lastJobId } : {}),
  }
  const sent =
    what === 'resolved'
      ? toMessage(events.alertResolved, known, context)
      : toMessage(
          events.alertRaised,
          { ...known, threshold, action, ...(alert.runbook ? { runbook: alert.runbook } : {}) },
          context,
        )
  await addOutbox(tx, [sent])
}
