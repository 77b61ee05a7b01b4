import { type Loop, startLoop, traceIdOf } from '@tagloom/service-kit'
import type { FastifyInstance } from 'fastify'
import type { GatewayDeps } from '../app.ts'
import { innermost } from '../http/problem.ts'
import { stageOf, Watchdog } from './watchdog.ts'

/** Runs the watchdog as part of the app, from ready to closing. */
export function watchJobs(app: FastifyInstance, deps: GatewayDeps): void {
  const { config, db, bus, relay, log, metrics } = deps
  const watchdog = new Watchdog({
    db,
    relay,
    backlog: () => bus.backlog(),
    stallMs: config.WATCHDOG_STALL_SECONDS * 1000,
    maxRevivals: config.WATCHDOG_MAX_REVIVALS,
    onRevived({ job, owed, idleSeconds }) {
      metrics.recoveries.inc({ outcome: 'revived' })
      const of = { wiki_id: job.wikiId, job_id: job.id, stage: stageOf(owed.step) }
      logOf(job).event('job_recovered', { ...of, messages: owed.messages.length, idle_seconds: idleSeconds })
    },
    onGivenUp({ job, owed, reason }) {
      metrics.recoveries.inc({ outcome: 'given up' })
      const of = { wiki_id: job.wikiId, job_id: job.id, stage: stageOf(owed.step) }
      logOf(job).event('job_failed', { ...of, code: 'stalled', reason, attempt: job.attempt })
    },
    onAssignment({ id, wikiId }, failure) {
      const line = log.child({ wiki_id: wikiId })
      if (failure === undefined) line.event('assignment_recovered', { assignment_id: id })
      else line.event('assignment_failed', { assignment_id: id, reason: failure })
    },
  })
  const logOf = (job: { requestId: string | null; traceparent: string | null }) =>
    log.child({ request_id: job.requestId ?? undefined, trace_id: traceIdOf(job.traceparent ?? undefined) })

  let looking: Loop | undefined
  app.addHook('onReady', async () => {
    const everyMs = config.WATCHDOG_INTERVAL_SECONDS * 1000
    const onError = (error: Error) =>
      log.event('database_error', { operation: 'watchdog', code: 'watchdog', reason: innermost(error).message })
    looking = startLoop(everyMs, () => watchdog.look(), onError, everyMs)
  })
  app.addHook('preClose', async () => looking?.stop())
}
