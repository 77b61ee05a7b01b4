import { randomUUID } from 'node:crypto'
import { childTraceparent } from '@tagloom/service-kit'
import type { FastifyInstance, RawRequestDefaultExpression } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** W3C trace context of the request: the caller's trace, or one that begins here */
    traceparent: string
  }
}

const acceptable = /^[\w.:/+=-]{1,200}$/

/** The caller's x-request-id where it is fit for a log line, else a new one. */
export function requestIdOf(request: RawRequestDefaultExpression): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && acceptable.test(given) ? given : randomUUID()
}

/** Gives every request its ids, and every answer the request's. */
export function carryContext(app: FastifyInstance): void {
  app.decorateRequest('traceparent', '')
  app.addHook('onRequest', (request, reply, done) => {
    const { traceparent } = request.headers
    request.traceparent = childTraceparent(typeof traceparent === 'string' ? traceparent : undefined)
    reply.header('x-request-id', request.id)
    done()
  })
}
