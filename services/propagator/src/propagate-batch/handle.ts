import { type Message, Reject } from '@tagloom/bus'
import { events, jobOptionDefaults, toMessage } from '@tagloom/contracts'
import {
  closeStage,
  type Database,
  finishBatch,
  type Job,
  type Progress,
  readBatch,
  readJob,
  readMemberships,
  readPageDecisions,
  readPageVectors,
  readReliability,
  savePageTags,
  type Transaction,
} from '@tagloom/database'
import { expectedCalibrationError } from '@tagloom/kernels'
import { type HandlerDeps, JobMetrics } from '@tagloom/service-kit'
import { type PropagateBatch, secondsOf } from '../clusters-tagged/handle.ts'
import { type Completed, endJob } from '../complete-job.ts'
import type { JobTags, JobTagsCache } from './job-tags.ts'
import { type PagesToScore, type ScoredPages, scorePages } from './score-pages.ts'

export interface PropagateDeps extends HandlerDeps {
  readonly jobTags: JobTagsCache
}

/**
 * Tags the pages of one batch, by one COPY in the transaction that ends the batch; whoever ends the last one completes the job in it.
 * A second delivery finds the batch done and changes nothing.
 */
export async function handlePropagateBatch(
  message: Message<typeof events.propagateBatch>,
  deps: PropagateDeps,
): Promise<void> {
  const { wiki_id, job_id, batch: no } = message.data
  const batch = await readBatch(deps.db, job_id, 'propagate', no)
  if (!batch) throw new Reject(`job ${job_id} has no propagate batch ${no}`)
  const job = await readJob(deps.db, job_id)
  if (batch.done || job?.status !== 'running') return
  const metrics = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'propagator' })
  metrics.startStage('propagate', no)
  const payload = batch.payload as PropagateBatch
  const tags = await deps.jobTags.of(job, metrics.countLookups)
  const pages = await readPages(deps.db, job, payload, tags)
  const scored = await scorePages(pages, tags, optionsOf(job), message.signal)
  measure(metrics, scored)
  try {
    await save(message, deps, job, { payload, scored, metrics })
  } catch (error) {
    const { code = 'unknown', message: reason } = error as { code?: string; message: string }
    if (code !== 'job_not_running')
      deps.log.event('propagation_failed', { batch: String(no), code, reason: reason.slice(0, 2000) })
    throw error
  }
}

async function readPages(db: Database, job: Job, payload: PropagateBatch, tags: JobTags): Promise<PagesToScore> {
  const pageIds = payload.page_ids
  const [vectors, memberships, decisions] = await Promise.all([
    readPageVectors(db, job.model ?? '', pageIds),
    readMemberships(db, job.id, tags.layers, pageIds),
    readPageDecisions(db, job.wikiId, pageIds),
  ])
  return { pageIds, vectors, memberships, decisions }
}

const optionsOf = ({ options }: Job) => ({
  threshold: options.confidence_threshold ?? jobOptionDefaults.confidence_threshold,
  maxTags: options.max_tags_per_page ?? jobOptionDefaults.max_tags_per_page,
})

function measure(metrics: JobMetrics, { rows, counts, conflicts }: ScoredPages): void {
  metrics.increment('pages_processed', counts.length)
  metrics.increment('pages_tagged', counts.filter((count) => count > 0).length)
  metrics.increment('tags_applied', rows.length)
  metrics.increment('propagation_conflicts', conflicts)
  for (const count of counts) metrics.increment(`pages_by_tags.${count}`)
}

/** How right the confidence of the whole job is, where people gave tags to pages; null where they gave none that it found too. */
async function measureReliability(tx: Transaction, job: Job): Promise<object | null> {
  const bins = await readReliability(tx, job.wikiId, job.id)
  const error = expectedCalibrationError(bins)
  if (error === null) return null
  const pageTags = bins.reduce((sum, { count }) => sum + count, 0)
  return {
    page_tags: pageTags,
    expected_calibration_error: error,
    bins: bins.map((bin) => ({ count: bin.count, mean_confidence: bin.meanConfidence, hit_rate: bin.hitRate })),
  }
}

interface Scored {
  readonly payload: PropagateBatch
  readonly scored: ScoredPages
  readonly metrics: JobMetrics
}

async function save(
  message: Message<typeof events.propagateBatch>,
  deps: PropagateDeps,
  job: Job,
  { payload, scored, metrics }: Scored,
): Promise<void> {
  const { wiki_id, job_id, batch: no } = message.data
  const { context, config } = deps
  const { rows, counts, conflicts } = scored
  const ended = await deps.relay.commit(async (tx, owe) => {
    const result = {
      pages: counts.length,
      pages_tagged: counts.filter((count) => count > 0).length,
      tags_applied: rows.length,
      conflicts,
    }
    const progress = await finishBatch(tx, job_id, 'propagate', no, result)
    if (!progress) return undefined
    await savePageTags(tx, job_id, no, rows)
    const last = progress.done === progress.total
    if (last) metrics.setDetail('reliability', await measureReliability(tx, job))
    owe(...metrics.toMessages(context))
    const done = last ? payload.of : Math.min(payload.of - 1, progress.done * config.BATCH_INSERT_SIZE)
    const shown = { wiki_id, job_id, stage: 'propagate' as const, done, total: payload.of, unit: 'pages' }
    owe(toMessage(events.jobProgressed, shown, context))
    if (!last) return { progress }
    const stageSeconds = await closeStage(tx, job_id, 'propagate')
    const { completed, messages } = await endJob(tx, job, { context, metricsEnabled: config.ENABLE_METRICS })
    owe(...messages)
    return { progress, whole: { completed, stageSeconds } }
  })
  if (ended) await say(deps, metrics, no, job, ended)
}

async function say(
  deps: PropagateDeps,
  metrics: JobMetrics,
  no: number,
  job: Job,
  { progress, whole }: { progress: Progress; whole?: { completed: Completed; stageSeconds: number } },
): Promise<void> {
  const { duration_seconds } = metrics.toJSON()
  deps.log.event('batch_completed', { stage: 'propagate', batch: String(no), duration_seconds, ...progress })
  if (!whole) return
  const { pages, pagesTagged: pages_tagged, tagsApplied: tags_applied, conflicts } = whole.completed
  const { endedAt } = (await readJob(deps.db, job.id)) ?? job
  deps.log.event('stage_completed', {
    stage: 'propagate',
    batches: progress.total,
    duration_seconds: whole.stageSeconds,
  })
  deps.log.event('tags_propagated', { pages, pages_tagged, tags_applied, conflicts })
  deps.log.event('job_completed', {
    duration_seconds: secondsOf(job.startedAt, endedAt),
    pages_processed: pages,
    pages_tagged,
    tags_applied,
  })
}
