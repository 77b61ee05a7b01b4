import { type EnvelopeContext, events, type OutgoingMessage, toMessage } from '@tagloom/contracts'
import type { AlertRow, JobOrigin } from '@tagloom/database'

/** The request that set off the job which an alert is of */

/** The news of an alert as a message. The dedupe key is the alert's: told once however often it is published. */
export function announcement(what: 'raised' | 'resolved', alert: AlertRow, origin?: JobOrigin): OutgoingMessage {
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
  return what === 'resolved'
    ? toMessage(events.alertResolved, known, context)
    : toMessage(
        events.alertRaised,
        { ...known, threshold, action, ...(alert.runbook ? { runbook: alert.runbook } : {}) },
        context,
      )
}
