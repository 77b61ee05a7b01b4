import { Counter, Gauge, type Registry } from '@tagloom/service-kit'

/** The gateway's own figures for Prometheus; HTTP, bus and event loop are counted by the service kit. */
export interface GatewayMetrics {
  readonly pages: Counter<'outcome'>
  readonly jobs: Counter<'event'>
  readonly recoveries: Counter<'outcome'>
  readonly streams: Gauge
}

export function createMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry]
  return {
    pages: new Counter({
      name: 'tagloom_pages_imported_total',
      help: 'Pages of imports by outcome: created, updated, unchanged, deleted, rejected',
      labelNames: ['outcome'],
      registers,
    }),
    jobs: new Counter({
      name: 'tagloom_jobs_total',
      help: 'What clients asked of jobs: requested, cancelled, retried',
      labelNames: ['event'],
      registers,
    }),
    recoveries: new Counter({
      name: 'tagloom_job_recoveries_total',
      help: 'Jobs that the watchdog found stuck: revived, or given up',
      labelNames: ['outcome'],
      registers,
    }),
    streams: new Gauge({ name: 'tagloom_event_streams', help: 'Open streams of server-sent events', registers }),
  }
}
