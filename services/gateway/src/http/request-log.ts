import type { LogEventName, LogFields } from '@tagloom/contracts'
import type { FastifyInstance } from 'fastify'
import { traceIdOf } from './request-context.ts'

export interface EventLog {
  event<Name extends LogEventName>(name: Name, fields: LogFields<Name>): void
}

/** One line a request: answered, refused, or failed by us. */
export function logRequests(app: FastifyInstance, log: EventLog): void {
  app.addHook('onResponse', async (request, reply) => {
    const { problem } = reply
    const line = {
      request_id: request.id,
      trace_id: traceIdOf(request.traceparent),
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
    }
    if (problem && reply.statusCode >= 500) log.event('request_failed', { ...line, ...problem })
    else if (problem && [401, 403, 429].includes(reply.statusCode)) {
      const { duration_ms: _, ...refused } = line
      log.event('request_refused', { ...refused, code: problem.code })
    } else log.event('request_completed', line)
  })
}
