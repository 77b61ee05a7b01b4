import { type Log, traceIdOf } from '@tagloom/service-kit'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** One line a request: answered, refused, or failed by us. */
export function logRequests(app: FastifyInstance, log: Log): void {
  app.addHook('onResponse', async (request, reply) => {
    // Probes and scrapes, every few seconds.
    if (request.routeOptions.logLevel === 'silent') return
    const { problem } = reply
    const line = {
      request_id: request.id,
      trace_id: traceIdOf(request.traceparent),
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
    }
    if (problem && reply.statusCode >= 500) {
      const { error, ...said } = problem
      log.event('request_failed', { ...line, ...said })
      if (problem.code === 'internal_error') log.pino.error({ request_id: request.id, err: error }, 'unexpected error')
    } else if (problem && [401, 403, 429].includes(reply.statusCode)) {
      const { duration_ms: _, ...refused } = line
      log.event('request_refused', { ...refused, code: problem.code })
    } else log.event('request_completed', line)
  })
}

/** The log of what a request sets off: its lines carry the request's ids. */
export const logOf = (log: Log, request: FastifyRequest): Log =>
  log.child({ request_id: request.id, trace_id: traceIdOf(request.traceparent) })
