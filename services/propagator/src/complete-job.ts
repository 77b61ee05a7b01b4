import { type EnvelopeContext, events, type OutgoingMessage, toMessage } from '@tagloom/contracts'
import { completeJob, countJobBatches, type Job, sumBatchResults, type Transaction } from '@tagloom/database'

/** Samples that are no batch: the plans of embed, label and propagate, the clustering, and the matching of labels. */
const SAMPLES_BESIDE_BATCHES = 5

export interface Completed {
  readonly pages: number
  readonly pagesTagged: number
  readonly tagsApplied: number
  readonly conflicts: number
}

/** Ends a job whose pages all have their tags: its run becomes the current one of the wiki, in this transaction. */
export async function endJob(
  tx: Transaction,
  job: Pick<Job, 'id' | 'wikiId'>,
  of: { readonly context: EnvelopeContext; readonly metricsEnabled: boolean },
): Promise<{ readonly completed: Completed; readonly messages: readonly OutgoingMessage[] }> {
  const sums = await sumBatchResults(tx, job.id, 'propagate')
  const { pages = 0, pages_tagged = 0, tags_applied = 0, conflicts = 0 } = sums
  const samples = of.metricsEnabled ? (await countJobBatches(tx, job.id)) + SAMPLES_BESIDE_BATCHES : 0
  await completeJob(tx, job.id, { pages_processed: pages, pages_tagged, tags_applied })
  const ids = { wiki_id: job.wikiId, job_id: job.id }
  return {
    completed: { pages, pagesTagged: pages_tagged, tagsApplied: tags_applied, conflicts },
    messages: [
      toMessage(events.tagsPropagated, { ...ids, pages_tagged, tags_applied }, of.context),
      toMessage(
        events.jobCompleted,
        { ...ids, pages_processed: pages, pages_tagged, tags_applied, samples },
        of.context,
      ),
    ],
  }
}
