import { events } from '@tagloom/contracts'
import { consumeEvents, on, type ServiceDeps } from '@tagloom/service-kit'
import fastify, { type FastifyInstance } from 'fastify'
import { handleClustersTagged } from './clusters-tagged/handle.ts'
import type { Config } from './config.ts'
import { measureCache } from './metrics.ts'
import { handlePropagateBatch } from './propagate-batch/handle.ts'
import { JobTagsCache } from './propagate-batch/job-tags.ts'
import { followVocabulary } from './vocabulary-changed/follow.ts'

/** The propagator's app, not listening. Its consumers begin when it is ready and end before it closes. */
export function buildApp(deps: ServiceDeps<Config>): FastifyInstance {
  const app = fastify()
  const jobTags = new JobTagsCache(deps.db, deps.config.ENABLE_QUERY_CACHING)
  measureCache(deps.registry, 'job_tags', jobTags.counts)
  followVocabulary(app, deps.bus, (wikiId) => jobTags.forget(wikiId))
  consumeEvents(app, deps, [
    on(events.clustersTagged, { failsJob: true }, handleClustersTagged),
    on(events.propagateBatch, { failsJob: true, concurrency: deps.config.PROPAGATE_CONCURRENCY }, (message, d) =>
      handlePropagateBatch(message, { ...d, jobTags }),
    ),
  ])
  return app
}
