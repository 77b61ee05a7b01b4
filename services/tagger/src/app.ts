import { events } from '@tagloom/contracts'
import { consumeEvents, on, type ServiceDeps } from '@tagloom/service-kit'
import fastify, { type FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { handleEmbedBatch } from './embed-batch/handle.ts'
import { handleJobRequested } from './job-requested/handle.ts'
import { measureEmbedder } from './metrics.ts'
import { openTaggerEmbedder } from './open-tagger-embedder.ts'

/** The tagger's app, not listening. Its consumers begin when it is ready and end before it closes. */
export async function buildApp(deps: ServiceDeps<Config>): Promise<FastifyInstance> {
  const app = fastify()
  const embedder = await openTaggerEmbedder(deps.config, deps.log)
  app.addHook('onClose', () => embedder.close())
  measureEmbedder(deps.registry, embedder)
  const job = { failsJob: true }
  consumeEvents(app, deps, [
    on(events.jobRequested, { ...job, concurrency: 2 }, (message, d) =>
      handleJobRequested(message, { ...d, embedder }),
    ),
    // Two batches in hand: one is read and stored while the other is computed.
    on(events.embedBatch, { ...job, concurrency: 2 }, (message, d) => handleEmbedBatch(message, { ...d, embedder })),
  ])
  return app
}
