import { events } from '@tagloom/contracts'
import { consumeEvents, measureCaches, on, type ServiceDeps } from '@tagloom/service-kit'
import fastify, { type FastifyInstance } from 'fastify'
import { handleClustersTagged } from './clusters-tagged/handle.ts'
import type { Config } from './config.ts'
import { handlePropagateBatch } from './propagate-batch/handle.ts'
import { JobTagsCache } from './propagate-batch/job-tags.ts'
import { forgetOnChange } from './vocabulary-changed/forget.ts'

/** The propagator's app, not listening. Its consumers begin when it is ready and end before it closes. */
export function buildApp(deps: ServiceDeps<Config>): FastifyInstance {
  const app = fastify()
  const jobTags = new JobTagsCache(deps.db, deps.config.ENABLE_QUERY_CACHING)
  measureCaches(deps.registry, { job_tags: jobTags.counts })
  forgetOnChange(app, deps.bus, jobTags)
  consumeEvents(app, deps, [
    on(events.clustersTagged, { failsJob: true }, handleClustersTagged),
    on(events.propagateBatch, { failsJob: true, concurrency: deps.config.PROPAGATE_CONCURRENCY }, (message, d) =>
      handlePropagateBatch(message, { ...d, jobTags }),
    ),
  ])
  return app
}
