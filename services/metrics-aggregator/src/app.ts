import type { ServiceDeps } from '@tagloom/service-kit'
import { openLiveRecords } from '@tagloom/service-kit/live-records'
import fastify, { type FastifyInstance } from 'fastify'
import { type Aggregator, startAggregator } from './aggregator.ts'
import { parseRunbookBase } from './alerts/runbook-base.ts'
import type { Config } from './config.ts'
import { parseReceivers } from './delivery/receivers.ts'
import { exposeRuns, recordFailuresIn } from './metrics.ts'

/** The aggregator's app, not listening. Its work begins when it is ready and ends before it closes. */
export async function buildApp(deps: ServiceDeps<Config>): Promise<FastifyInstance> {
  const { db, bus, log, config } = deps
  const receivers = parseReceivers(config.ALERT_RECEIVERS)
  const runbookBase = parseRunbookBase(config.RUNBOOK_BASE_URL)
  const app = fastify()
  const live = await openLiveRecords({
    bus,
    redisUrl: config.REDIS_URL,
    ttlSeconds: config.METRICS_TTL_SECONDS,
    onRedisError: (error) => log.event('connection_lost', { server: 'redis', reason: error.message }),
  })
  exposeRuns(deps.registry, db, config.METRICS_EXPOSED_WIKIS)
  const recordFailures = recordFailuresIn(deps.registry)
  let aggregator: Aggregator | undefined
  app.addHook('onReady', async () => {
    const { commit } = deps.relay
    aggregator = await startAggregator({ db, bus, commit, live, log, config, receivers, runbookBase, recordFailures })
  })
  app.addHook('preClose', async () => {
    await aggregator?.stop()
    await live.close()
  })
  return app
}
