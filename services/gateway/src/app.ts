import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import { fastifySSE } from '@fastify/sse'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Bus } from '@tagloom/bus'
import type { Database } from '@tagloom/database'
import Fastify, { type FastifyInstance } from 'fastify'
import { authenticate } from './auth/authenticate.ts'
import type { KnownKeys } from './auth/known-keys.ts'
import type { Commit } from './commit.ts'
import { serveOpenApi } from './http/openapi.ts'
import { handleError, ProblemError } from './http/problem.ts'
import { carryContext, requestIdOf } from './http/request-context.ts'
import { type EventLog, logRequests } from './http/request-log.ts'
import { compileValidator } from './http/validation.ts'
import { routes } from './routes/index.ts'

export interface GatewayDeps {
  readonly db: Database
  readonly bus: Pick<Bus, 'follow'>
  readonly commit: Commit
  readonly keys: KnownKeys
  readonly log: EventLog
  readonly version: string
  readonly batchInsertSize: number
  /** Requests a minute from one address; 0 for no limit */
  readonly rateLimitPerMinute: number
  /** Addresses of proxies whose x-forwarded-for is believed */
  readonly trustProxy: string
}

const bodyLimitBytes = 1024 * 1024
/** A socket on which nothing moves for so long is closed; longer than the longest statement of an import */
const idleSocketMs = 150_000
const handlerTimeoutMs = 30_000
const heartbeatMs = 15_000

/** The gateway's HTTP side, not listening. */
export async function buildApp(deps: GatewayDeps): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: undefined,
    genReqId: requestIdOf,
    bodyLimit: bodyLimitBytes,
    connectionTimeout: idleSocketMs,
    handlerTimeout: handlerTimeoutMs,
    forceCloseConnections: 'idle',
    trustProxy: deps.trustProxy || false,
    // A page id may be a path, every byte of it percent-encoded.
    routerOptions: { maxParamLength: 6_000, ignoreTrailingSlash: true },
    frameworkErrors: handleError,
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler((request) => {
    throw new ProblemError('route_not_found', `${request.method} ${request.url} is nothing here: see /docs`)
  })
  app.decorateReply('problem', undefined)
  carryContext(app)
  logRequests(app, deps.log)
  await app.register(helmet)
  if (deps.rateLimitPerMinute > 0) await limitRate(app, deps.rateLimitPerMinute)
  authenticate(app, deps.keys)
  await app.register(fastifySSE, { heartbeatInterval: heartbeatMs })
  await serveOpenApi(app, deps.version)
  for (const plugin of Object.values(routes)) await app.register(plugin(deps))
  return app
}

const limitRate = (app: FastifyInstance, perMinute: number) =>
  app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, { ttl, max }) =>
      new ProblemError('rate_limited', `${max} requests a minute are allowed; wait ${Math.ceil(ttl / 1000)} s`),
  })
