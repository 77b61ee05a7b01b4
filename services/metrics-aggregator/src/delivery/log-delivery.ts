import { type ClaimedDelivery, type Database, readJob } from '@tagloom/database'
import { type Log, traceIdOf } from '@tagloom/service-kit'
import type { DeliveryDeps } from './deliver.ts'

/** The log is a receiver as others are: it hears of an alert at least once, with the ids of the job that brought it about. */
export function logDelivery(db: Database, log: Log): Pick<DeliveryDeps, 'onDelivered' | 'onFailed' | 'tellLog'> {
  const factsOf = ({ alert, receiver, event, attempts }: ClaimedDelivery) => ({
    wiki_id: alert.wikiId,
    alert_id: alert.id,
    receiver,
    transition: event,
    attempts,
  })
  return {
    async tellLog({ alert, event }) {
      const job = alert.lastJobId ? await readJob(db, alert.lastJobId) : undefined
      const line = log.child({
        wiki_id: alert.wikiId,
        job_id: alert.lastJobId ?? undefined,
        request_id: job?.requestId ?? undefined,
        trace_id: traceIdOf(job?.traceparent ?? undefined),
      })
      const { id: alert_id, rule, severity, metric, value, threshold, message, action } = alert
      if (event === 'resolved') line.event('quality_alert_resolved', { alert_id, rule, severity, metric, value })
      else if (event === 'raised')
        line.event('quality_alert', { alert_id, rule, severity, metric, value, threshold, message, action })
    },
    onDelivered: (delivery) =>
      log.event('alert_delivered', {
        ...factsOf(delivery),
        lag_seconds: Math.max(0, Date.now() - delivery.createdAt.getTime()) / 1000,
      }),
    onFailed: (delivery, reason, abandoned) =>
      log.event(abandoned ? 'alert_delivery_abandoned' : 'alert_delivery_failed', { ...factsOf(delivery), reason }),
  }
}
