import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance, RawRequestDefaultExpression } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** W3C trace context of the request: the caller's trace, or one that begins here */
    traceparent: string
  }
}

const acceptable = /^[\w.:/+=-]{1,200}$/
const traceparentForm = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const none = /^0+$/

/** The caller's x-request-id where it is fit for a log line, else a new one. */
export function requestIdOf(request: RawRequestDefaultExpression): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && acceptable.test(given) ? given : randomUUID()
}

/** A span of the caller's trace, or of a new one when there is none or it is malformed. */
export function continueTrace(given: string | undefined): string {
  const [, traceId = '', parentId = '', flags = ''] = traceparentForm.exec(given ?? '') ?? []
  const span = randomBytes(8).toString('hex')
  if (traceId === '' || none.test(traceId) || none.test(parentId))
    return `00-${randomBytes(16).toString('hex')}-${span}-01`
  return `00-${traceId}-${span}-${flags}`
}

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)

/** Gives every request its ids, and every answer the request's. */
export function carryContext(app: FastifyInstance): void {
  app.decorateRequest('traceparent', '')
  app.addHook('onRequest', async (request, reply) => {
    const { traceparent } = request.headers
    request.traceparent = continueTrace(typeof traceparent === 'string' ? traceparent : undefined)
    reply.header('x-request-id', request.id)
  })
}
