import underPressure from '@fastify/under-pressure'
import { collectDefaultMetrics, Histogram, type Registry } from '@prometheus-io/client'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest, FastifySchema } from 'fastify'
import fp from 'fastify-plugin'

/** What must answer for the service to be ready: name → throws when it does not. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<void>>>

export interface OperationsOptions {
  readonly registry: Registry
  readonly checks: ReadinessChecks
}

const checkTimeoutMs = 3_000
/** Mean delay of the event loop over a second above which requests are refused for a while */
const refuseAboveDelayMs = 1_000
/** The client writes a value that is none, a mean of nothing say, as `Nan`; the text format knows `NaN` alone. */
const notANumber = / Nan$/gm
const own = new Set(['/livez', '/readyz', '/metrics'])
const open = {
  schema: { hide: true } as FastifySchema,
  config: { rateLimit: false } as FastifyContextConfig,
  logLevel: 'silent',
} as const

/**
 * What operators need of every service: `/livez` (the process answers), `/readyz` (it can do its work: 200, or 503 with what is missing),
 * `/metrics` (Prometheus), and 503 with Retry-After for other requests while the event loop is overloaded.
 */
export const operations = fp<OperationsOptions>(
  async (app, { registry, checks }) => {
    let stopping = false
    app.addHook('preClose', async () => {
      stopping = true
    })
    await app.register(underPressure, {
      maxEventLoopDelay: refuseAboveDelayMs,
      retryAfter: 1,
      pressureHandler: (request, reply) => {
        if (own.has(request.routeOptions.url ?? '')) return
        reply.status(503).header('retry-after', 1)
        throw Object.assign(new Error('the service is overloaded: try again in a second'), {
          statusCode: 503,
          code: 'FST_UNDER_PRESSURE',
        })
      },
    })
    measureRequests(app, registry)
    app.get('/livez', open, async () => ({ status: 'ok' }))
    app.get('/readyz', open, async (_request: FastifyRequest, reply) => {
      const answers = await runChecks(checks)
      const ready = !stopping && Object.values(answers).every((answer) => answer === 'ok')
      return reply
        .status(ready ? 200 : 503)
        .send({ status: stopping ? 'stopping' : ready ? 'ok' : 'not ready', checks: answers })
    })
    app.get('/metrics', open, async (_request, reply) =>
      reply.header('content-type', registry.contentType).send((await registry.metrics()).replace(notANumber, ' NaN')),
    )
  },
  { name: 'tagloom-operations' },
)

/** Duration of each request by method, route as declared, and status; the process's own figures beside it. */
function measureRequests(app: FastifyInstance, registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer',
    labelNames: ['method', 'route', 'status_code'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  // As many as there are routes and statuses: resolving the labels costs more than counting.
  const known = new Map<string, ReturnType<typeof durations.labels>>()
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? '__unknown__'
    if (!own.has(route)) {
      const labels = `${request.method} ${reply.statusCode} ${route}`
      let duration = known.get(labels)
      if (!duration) {
        duration = durations.labels(request.method, route, String(reply.statusCode))
        known.set(labels, duration)
      }
      duration.observe(reply.elapsedTime / 1000)
    }
    done()
  })
}

async function runChecks(checks: ReadinessChecks): Promise<Record<string, string>> {
  const answers = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await answerOf(check)] as const),
  )
  return Object.fromEntries(answers)
}

async function answerOf(check: () => Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${checkTimeoutMs / 1000} s`)), checkTimeoutMs)
  })
  try {
    await Promise.race([check(), tooLong])
    return 'ok'
  } catch (error) {
    return (error as Error).message
  } finally {
    clearTimeout(timer)
  }
}
