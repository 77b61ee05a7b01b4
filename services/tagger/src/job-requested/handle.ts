import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import { countJobPages, freezeJobPages, listPagesWithoutEmbedding, planStage, readJob } from '@tagloom/database'
import { JobMetrics } from '@tagloom/service-kit'
import type { EmbedDeps } from '../embed-deps.ts'
import { planEmbedBatches } from './plan-batches.ts'

/** The stage is planned already: the transaction is to change nothing. */
class AlreadyPlanned extends Error {}

/**
 * Freezes the job's pages and plans the batches of those that have no vector of this model yet; with none, the stage is over.
 * One transaction. A second delivery finds the stage planned and changes nothing.
 */
export async function handleJobRequested(message: Message<typeof events.jobRequested>, deps: EmbedDeps): Promise<void> {
  try {
    await plan(message, deps)
  } catch (error) {
    if (!(error instanceof AlreadyPlanned)) throw error
  }
}

async function plan(message: Message<typeof events.jobRequested>, deps: EmbedDeps): Promise<void> {
  const { wiki_id, job_id } = message.data
  const model = deps.embedder.modelId
  const { context, log } = deps
  const metrics = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'tagger' })
  metrics.startStage('embed', 'plan')
  const planned = await deps.relay.commit(async (tx, owe) => {
    const job = await readJob(tx, job_id)
    await freezeJobPages(tx, job_id, wiki_id, model)
    const missing = await listPagesWithoutEmbedding(tx, job_id, model)
    const batches = planEmbedBatches(missing)
    const plan = { planningMs: metrics.elapsedMs }
    if (!(await planStage(tx, job_id, 'embed', batches, plan)).planned) throw new AlreadyPlanned()
    const pages = await countJobPages(tx, job_id)
    metrics.increment('pages_reused', pages - missing.length)
    owe(...metrics.toMessages(context))
    const progress = { wiki_id, job_id, stage: 'embed' as const, done: 0, total: missing.length, unit: 'pages' }
    owe(toMessage(events.jobProgressed, progress, context))
    for (const batch of batches.keys()) owe(toMessage(events.embedBatch, { wiki_id, job_id, batch }, context))
    if (batches.length === 0) {
      owe(toMessage(events.pagesEmbedded, { wiki_id, job_id, pages, embedded: 0, model }, context))
    }
    return { pages, missing: missing.length, batches: batches.length, attempt: job?.attempt ?? 1 }
  })
  log.event('job_started', { pages: planned.pages, attempt: planned.attempt })
  log.event('stage_started', { stage: 'embed', batches: planned.batches })
  if (planned.batches === 0) {
    log.event('stage_completed', { stage: 'embed', batches: 0, duration_seconds: metrics.elapsedMs / 1000 })
    log.event('embedding_completed', { pages: planned.pages, embedded: 0, reused: planned.pages, model })
  }
}
