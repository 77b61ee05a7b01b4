import type { FastifyInstance } from 'fastify'

/**
 * What a browser must know of an answer that is data and no page: it is of the type that it says, loads nothing, and is in nobody's frame and
 * no other site's page. What else helmet has is about pages (/docs has all of it). No strict-transport-security: where a proxy ends TLS this
 * is read over plain HTTP, and browsers must not be sent to HTTPS by us.
 */
const headers = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
} as const

/** By Fastify's own headers: those that helmet puts on the raw answer make Node write all of them one by one. */
export function answerAsData(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}
