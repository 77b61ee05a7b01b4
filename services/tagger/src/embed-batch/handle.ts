import { type Message, Reject, RetryLater } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  closeStage,
  countJobPages,
  finishBatch,
  type PageEmbedding,
  readBatch,
  readJob,
  readPagesToEmbed,
  saveEmbeddings,
  sumBatchResults,
  type Transaction,
} from '@tagloom/database'
import type { PageVectors } from '@tagloom/inference'
import { JobMetrics } from '@tagloom/service-kit'
import type { EmbedDeps } from '../embed-deps.ts'
import { embeddingsOf } from '../embeddings-of.ts'
import type { EmbedBatch } from '../job-requested/plan-batches.ts'

/** Another replica may have the model that the job was planned with: wait this long before looking again. */
const OTHER_MODEL_MS = 5_000

/**
 * Embeds the pages of one batch and stores their vectors with the batch's end; whoever ends the last one says that the pages are embedded.
 * A second delivery finds the batch done and changes nothing; one that comes meanwhile computes in vain and writes nothing.
 */
export async function handleEmbedBatch(message: Message<typeof events.embedBatch>, deps: EmbedDeps): Promise<void> {
  const { job_id, batch: no } = message.data
  const { embedder } = deps
  const batch = await readBatch(deps.db, job_id, 'embed', no)
  if (!batch) throw new Reject(`job ${job_id} has no embed batch ${no}`)
  const job = await readJob(deps.db, job_id)
  if (batch.done || job?.status !== 'running') return
  if (job.model !== embedder.modelId) {
    throw new RetryLater(
      OTHER_MODEL_MS,
      `job ${job_id} was planned with the model ${job.model}, this tagger has ${embedder.modelId}: start a new job`,
    )
  }
  const payload = batch.payload as EmbedBatch
  const metrics = JobMetrics.of(deps, { wikiId: message.data.wiki_id, jobId: job_id, service: 'tagger' })
  metrics.startStage('embed', no)
  const pages = await readPagesToEmbed(deps.db, payload.page_ids, embedder.modelId)
  const made = await embedder.embedPages(pages, message.signal)
  await save(message, deps, payload, embeddingsOf(pages, made, embedder.dims), made, metrics)
}

async function save(
  message: Message<typeof events.embedBatch>,
  deps: EmbedDeps,
  payload: EmbedBatch,
  embeddings: readonly PageEmbedding[],
  made: PageVectors,
  metrics: JobMetrics,
): Promise<void> {
  const { wiki_id, job_id, batch: no } = message.data
  const { embedder, context, log } = deps
  const ended = await deps.relay.commit(async (tx, owe) => {
    const progress = await finishBatch(tx, job_id, 'embed', no, { embedded: payload.page_ids.length })
    if (!progress) return undefined
    await saveEmbeddings(tx, embedder.modelId, embedder.dims, embeddings)
    metrics.increment('pages_embedded', embeddings.length)
    metrics.increment('pages_without_text', embeddings.filter((e) => e.vector === null).length)
    metrics.increment('tokens_embedded', made.stats.tokens)
    metrics.increment('tokens_padded', made.stats.paddedTokens)
    // The stage's row is locked since it was counted, so that of two batches that end at once the second sees the first.
    const { embedded: done = 0 } = await sumBatchResults(tx, job_id, 'embed')
    owe(...metrics.toMessages(context))
    const shown = { wiki_id, job_id, stage: 'embed' as const, done, total: payload.of, unit: 'pages' }
    owe(toMessage(events.jobProgressed, shown, context))
    if (progress.done < progress.total) return { progress }
    const whole = await wholeStage(tx, job_id)
    const { pages, embedded } = whole
    owe(toMessage(events.pagesEmbedded, { wiki_id, job_id, pages, embedded, model: embedder.modelId }, context))
    return { progress, whole }
  })
  if (!ended) return
  const { progress, whole } = ended
  const { duration_seconds } = metrics.toJSON()
  log.event('batch_completed', { stage: 'embed', batch: String(no), duration_seconds, ...progress })
  if (!whole) return
  const { pages, embedded, seconds } = whole
  log.event('stage_completed', { stage: 'embed', batches: progress.total, duration_seconds: seconds })
  log.event('embedding_completed', { pages, embedded, reused: pages - embedded, model: embedder.modelId })
}

async function wholeStage(tx: Transaction, jobId: string) {
  const { embedded = 0 } = await sumBatchResults(tx, jobId, 'embed')
  const seconds = await closeStage(tx, jobId, 'embed')
  return { pages: await countJobPages(tx, jobId), embedded, seconds }
}
