import { events } from '@tagloom/contracts'
import { consumeEvents, measureCaches, on, type ServiceDeps } from '@tagloom/service-kit'
import fastify, { type FastifyInstance } from 'fastify'
import { handleAssignmentRequested } from './assignment-requested/handle.ts'
import { handleClustersFormed } from './clusters-formed/handle.ts'
import type { Config } from './config.ts'
import { handleEmbedBatch } from './embed-batch/handle.ts'
import { JobClusters } from './job-clusters.ts'
import { handleJobRequested } from './job-requested/handle.ts'
import { handleLabelBatch } from './label-batch/handle.ts'
import { LabelVectors } from './label-vectors.ts'
import { handleLabelsProposed } from './labels-proposed/handle.ts'
import { forgetReplies } from './llm/forget-replies.ts'
import { openLanguageModel } from './llm/open-language-model.ts'
import { measureEmbedder } from './metrics.ts'
import { openTaggerEmbedder } from './open-tagger-embedder.ts'
import { Vocabularies } from './vocabularies.ts'
import { forgetOnChange } from './vocabulary-changed/forget.ts'

/** The tagger's app, not listening. Its consumers begin when it is ready and end before it closes. */
export async function buildApp(deps: ServiceDeps<Config>): Promise<FastifyInstance> {
  const app = fastify()
  const embedder = await openTaggerEmbedder(deps)
  app.addHook('onClose', () => embedder.close())
  measureEmbedder(deps.registry, embedder)
  const vectors = new LabelVectors(embedder, deps.config.ENABLE_QUERY_CACHING)
  const vocabularies = new Vocabularies(deps.db, deps.config.ENABLE_QUERY_CACHING)
  const clusters = new JobClusters(deps.db, deps.config.ENABLE_QUERY_CACHING)
  measureCaches(deps.registry, { label_vectors: vectors, vocabulary: vocabularies.counts, clusters: clusters.counts })
  forgetOnChange(app, deps.bus, vocabularies)
  const { languageModel, close } = await openLanguageModel(deps)
  app.addHook('onClose', close)
  const stopForgetting = forgetReplies({ ...deps, days: deps.config.LLM_REPLIES_RETENTION_DAYS })
  app.addHook('onClose', stopForgetting)
  const label = { vectors, vocabularies, clusters, languageModel }
  const job = { failsJob: true }
  consumeEvents(app, deps, [
    on(events.jobRequested, { ...job, concurrency: 2 }, (message, d) =>
      handleJobRequested(message, { ...d, embedder }),
    ),
    // Two batches in hand: one is read and stored while the other is computed.
    on(events.embedBatch, { ...job, concurrency: 2 }, (message, d) => handleEmbedBatch(message, { ...d, embedder })),
    on(events.clustersFormed, job, handleClustersFormed),
    // As many as may call a language model at once: each of its calls waits for a slot that all replicas share.
    on(events.labelBatch, { ...job, concurrency: Math.min(8, deps.config.MAX_PARALLEL_LLM_CALLS) }, (message, d) =>
      handleLabelBatch(message, { ...d, ...label }),
    ),
    on(events.assignmentRequested, { failsJob: false }, (message, d) =>
      handleAssignmentRequested(message, { ...d, embedder }),
    ),
    on(events.labelsProposed, job, (message, d) => handleLabelsProposed(message, { ...d, ...label })),
  ])
  return app
}
