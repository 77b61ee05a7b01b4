import { type Log, traceIdOf } from '@tagloom/service-kit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** A read that takes so long is logged as what changes something is */
const slowMs = 1_000

/**
 * One line a request: answered, refused, or failed by us. A read that was answered well and soon has its line at DEBUG: it changes nothing,
 * Prometheus counts and times it by route, and clients that poll would fill the log with it.
 */
export function logRequests(app: FastifyInstance, log: Log): void {
  const logsReads = log.pino.isLevelEnabled('debug')
  app.addHook('onResponse', (request, reply, done) => {
    // Probes and scrapes, every few seconds.
    const wanted = request.routeOptions.logLevel !== 'silent' && (logsReads || !isQuietRead(request, reply))
    if (wanted) logRequest(request, reply, log)
    done()
  })
}

const isQuietRead = ({ method }: FastifyRequest, { statusCode, elapsedTime }: FastifyReply): boolean =>
  (method === 'GET' || method === 'HEAD') && statusCode < 400 && elapsedTime < slowMs

function logRequest(request: FastifyRequest, reply: FastifyReply, log: Log): void {
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
  } else if (isQuietRead(request, reply)) log.event('read_completed', line)
  else log.event('request_completed', line)
}

/** The log of what a request sets off: its lines carry the request's ids. */
export const logOf = (log: Log, request: FastifyRequest): Log =>
  log.child({ request_id: request.id, trace_id: traceIdOf(request.traceparent) })
