import type { ClaimedDelivery } from '@tagloom/database'
import { type Log, traceIdOf } from '@tagloom/service-kit'
import type { DeliveryDeps } from './deliver.ts'

/**
 * The log is a receiver as others are: it hears of an alert at least once. Every line of a delivery has the ids of the job that brought the
 * alert about, so that the lines of a job end with who was told.
 */
export function logDelivery(log: Log): Pick<DeliveryDeps, 'onDelivered' | 'onFailed' | 'tellLog'> {
  const lineOf = ({ alert, origin }: ClaimedDelivery): Log =>
    log.child({
      wiki_id: alert.wikiId,
      job_id: alert.lastJobId ?? undefined,
      request_id: origin?.requestId ?? undefined,
      trace_id: traceIdOf(origin?.traceparent ?? undefined),
    })
  const factsOf = ({ alert, receiver, event, attempts }: ClaimedDelivery) => ({
    alert_id: alert.id,
    receiver,
    transition: event,
    attempts,
  })
  return {
    async tellLog(delivery) {
      const line = lineOf(delivery)
      const { id: alert_id, rule, severity, metric, value, threshold, message, action, runbook } = delivery.alert
      const of = { alert_id, rule, severity, metric, value }
      const address = runbook ? { runbook } : {}
      if (delivery.event === 'resolved') line.event('quality_alert_resolved', of)
      else if (delivery.event === 'raised')
        line.event('quality_alert', { ...of, threshold, message, action, ...address })
      else line.event('quality_alert_acknowledged', of)
    },
    onDelivered: (delivery) =>
      lineOf(delivery).event('alert_delivered', {
        ...factsOf(delivery),
        lag_seconds: Math.max(0, Date.now() - delivery.createdAt.getTime()) / 1000,
      }),
    onFailed: (delivery, reason, abandoned) =>
      lineOf(delivery).event(abandoned ? 'alert_delivery_abandoned' : 'alert_delivery_failed', {
        ...factsOf(delivery),
        reason,
      }),
  }
}
