import { events } from '@tagloom/contracts'
import { consumeEvents, measureCaches, on, type ServiceDeps } from '@tagloom/service-kit'
import fastify, { type FastifyInstance } from 'fastify'
import { CentroidsCache } from './assignment-embedded/centroids-cache.ts'
import { handleAssignmentEmbedded } from './assignment-embedded/handle.ts'
import type { Config } from './config.ts'
import { measureAssignments, measureClustering } from './metrics.ts'
import { handlePagesEmbedded } from './pages-embedded/handle.ts'
import { Pace } from './pages-embedded/time-left.ts'

/** The clusterer's app, not listening. Its consumer begins when it is ready and ends before it closes. */
export async function buildApp(deps: ServiceDeps<Config>): Promise<FastifyInstance> {
  const app = fastify()
  const metrics = measureClustering(deps.registry)
  const pace = new Pace()
  const centroids = new CentroidsCache(deps.db, deps.config.ENABLE_QUERY_CACHING)
  measureCaches(deps.registry, { centroids: centroids.counts })
  const assignments = measureAssignments(deps.registry, deps.db)
  const { INFERENCE_DEVICE: device, INFERENCE_THREADS: threads } = deps.config
  consumeEvents(app, deps, [
    // One at a time: a clustering takes every core and the memory of its vectors.
    on(events.pagesEmbedded, { failsJob: true, concurrency: 1 }, (message, d) =>
      handlePagesEmbedded(message, { ...d, metrics, pace, products: { device, threads } }),
    ),
    on(events.assignmentEmbedded, { failsJob: false }, (message, d) =>
      handleAssignmentEmbedded(message, { ...d, centroids, assignments }),
    ),
  ])
  return app
}
