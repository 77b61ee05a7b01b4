import rateLimit from '@fastify/rate-limit'
import { fastifySSE } from '@fastify/sse'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { events, ownKeyName } from '@tagloom/contracts'
import { ensureApiKey } from '@tagloom/database'
import { consumeEvents, on, type ServiceDeps } from '@tagloom/service-kit'
import { type LiveRecords, openLiveRecords } from '@tagloom/service-kit/live-records'
import Fastify, { type FastifyInstance } from 'fastify'
import { hashApiKey } from './auth/api-key.ts'
import { authenticate } from './auth/authenticate.ts'
import { KnownKeys } from './auth/known-keys.ts'
import type { Config } from './config.ts'
import { answerAsData } from './http/answer-as-data.ts'
import { answerClientError } from './http/client-error.ts'
import { serveOpenApi } from './http/openapi.ts'
import { handleError, ProblemError } from './http/problem.ts'
import { carryContext, requestIdOf } from './http/request-context.ts'
import { logRequests } from './http/request-log.ts'
import { compileValidator } from './http/validation.ts'
import { handleJobEnded } from './job-ended/handle.ts'
import { createMetrics, type GatewayMetrics } from './metrics.ts'
import { routes } from './routes/index.ts'
import { watchJobs } from './watchdog/watch-jobs.ts'

/** What the routes work with. */
export interface GatewayDeps extends ServiceDeps<Config> {
  readonly keys: KnownKeys
  readonly live: LiveRecords
  readonly metrics: GatewayMetrics
}

const bodyLimitBytes = 1024 * 1024
/** A socket on which nothing moves for so long is closed; longer than the longest statement of an import */
const idleSocketMs = 150_000
const handlerTimeoutMs = 30_000
const heartbeatMs = 15_000

/** The gateway, not listening. From ready to closing it starts queued jobs and watches the running ones. */
export async function buildApp(service: ServiceDeps<Config>): Promise<FastifyInstance> {
  const live = await openLiveRecords({
    bus: service.bus,
    redisUrl: service.config.REDIS_URL,
    ttlSeconds: service.config.METRICS_TTL_SECONDS,
    onRedisError: ({ message }) => service.log.event('connection_lost', { server: 'redis', reason: message }),
  })
  const deps: GatewayDeps = {
    ...service,
    live,
    keys: new KnownKeys(service.db),
    metrics: createMetrics(service.registry),
  }
  const app = createHttp(deps)
  answerAsData(app)
  if (deps.config.RATE_LIMIT_PER_MINUTE > 0) await limitRate(app, deps.config.RATE_LIMIT_PER_MINUTE)
  authenticate(app, deps.keys)
  await app.register(fastifySSE, { heartbeatInterval: heartbeatMs })
  await serveOpenApi(app)
  for (const plugin of Object.values(routes)) await app.register(plugin(deps))
  app.addHook('onReady', () => ensureOwnKey(deps))
  consumeEvents(app, deps, [on([events.jobCompleted, events.jobFailed], { failsJob: false }, handleJobEnded)])
  watchJobs(app, deps)
  app.addHook('onClose', () => live.close())
  return app
}

function createHttp(deps: GatewayDeps): FastifyInstance {
  const app = Fastify({
    genReqId: requestIdOf,
    bodyLimit: bodyLimitBytes,
    connectionTimeout: idleSocketMs,
    handlerTimeout: handlerTimeoutMs,
    forceCloseConnections: 'idle',
    trustProxy: deps.config.TRUST_PROXY || false,
    // A page id may be a path, every byte of it percent-encoded.
    routerOptions: { maxParamLength: 6_000, ignoreTrailingSlash: true },
    frameworkErrors: handleError,
    clientErrorHandler: answerClientError,
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler((request) => {
    throw new ProblemError('route_not_found', `${request.method} ${request.url} is nothing here: see /docs`)
  })
  app.decorateReply('problem', undefined)
  carryContext(app)
  logRequests(app, deps.log)
  return app
}

const limitRate = (app: FastifyInstance, perMinute: number) =>
  app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, { ttl, max }) =>
      new ProblemError('rate_limited', `${max} requests a minute are allowed; wait ${Math.ceil(ttl / 1000)} s`),
  })

/** The key of the environment works from the first request on. */
async function ensureOwnKey({ config, db }: GatewayDeps): Promise<void> {
  if (config.TAGLOOM_API_KEY) await ensureApiKey(db, ownKeyName, hashApiKey(config.TAGLOOM_API_KEY))
}
