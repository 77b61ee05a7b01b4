import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import { freezeJobVocabulary, listJobPageIds, planStage, readJob } from '@tagloom/database'
import { type HandlerDeps, JobMetrics } from '@tagloom/service-kit'
import { type Completed, endJob } from '../complete-job.ts'

/** What a propagate batch is: ids of pages. */
export interface PropagateBatch {
  readonly page_ids: readonly number[]
  /** Pages of the job, for progress in pages */
  readonly of: number
}

/**
 * Plans the batches of page tags, BATCH_INSERT_SIZE pages each, and keeps the approved tags as they are now for all of them; a job without pages is completed at once. One transaction.
 * A second delivery finds the stage planned and changes nothing.
 */
export async function handleClustersTagged(
  message: Message<typeof events.clustersTagged>,
  deps: HandlerDeps,
): Promise<void> {
  const { wiki_id, job_id } = message.data
  const { context, config, log } = deps
  const metrics = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'propagator' })
  metrics.startStage('propagate', 'plan')
  const batches = planBatches(await listJobPageIds(deps.db, job_id), config.BATCH_INSERT_SIZE)
  let completed: Completed | undefined
  const planned = await deps.relay.commit(async (tx, owe) => {
    const plan = { planningMs: metrics.elapsedMs }
    if (!(await planStage(tx, job_id, 'propagate', batches, plan)).planned) return false
    await freezeJobVocabulary(tx, job_id, wiki_id)
    owe(...metrics.toMessages(context))
    const total = batches[0]?.of ?? 0
    owe(
      toMessage(events.jobProgressed, { wiki_id, job_id, stage: 'propagate', done: 0, total, unit: 'pages' }, context),
    )
    for (const batch of batches.keys()) owe(toMessage(events.propagateBatch, { wiki_id, job_id, batch }, context))
    if (batches.length > 0) return true
    const ended = await endJob(tx, { id: job_id, wikiId: wiki_id }, { context, metricsEnabled: config.ENABLE_METRICS })
    owe(...ended.messages)
    completed = ended.completed
    return true
  })
  if (!planned) return
  log.event('stage_started', { stage: 'propagate', batches: batches.length })
  if (!completed) return
  log.event('stage_completed', { stage: 'propagate', batches: 0, duration_seconds: metrics.elapsedMs / 1000 })
  const job = await readJob(deps.db, job_id)
  log.event('job_completed', {
    duration_seconds: secondsOf(job?.startedAt, job?.endedAt),
    pages_processed: completed.pages,
    pages_tagged: completed.pagesTagged,
    tags_applied: completed.tagsApplied,
  })
}

function planBatches(pageIds: readonly number[], size: number): PropagateBatch[] {
  const batches: PropagateBatch[] = []
  for (let from = 0; from < pageIds.length; from += size) {
    batches.push({ page_ids: pageIds.slice(from, from + size), of: pageIds.length })
  }
  return batches
}

/** Seconds between two instants of a job; 0 where one is missing. */
export const secondsOf = (from: Date | null | undefined, to: Date | null | undefined): number =>
  from && to ? Math.max(0, (to.getTime() - from.getTime()) / 1000) : 0
