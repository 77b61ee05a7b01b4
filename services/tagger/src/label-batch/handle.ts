import { type Message, Reject, RetryLater } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  finishBatch,
  type Job,
  readBatch,
  readForClusters,
  readJob,
  readLlmCalls,
  saveForClusters,
} from '@tagloom/database'
import type { Proposal } from '@tagloom/kernels'
import { JobMetrics } from '@tagloom/service-kit'
import type { LabelBatch } from '../clusters-formed/handle.ts'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'
import type { LabelDeps } from '../label-deps.ts'
import { countCalls } from './count-calls.ts'
import { proposeKeyphrases } from './propose-keyphrases.ts'
import { proposeByLanguageModel } from './propose-llm.ts'

const OTHER_MODEL_MS = 5_000
/** Proposals a tag: what is rejected or means the same as another leaves room. */
const PROPOSALS_A_TAG = 3

/**
 * Proposes labels for the clusters of one batch. It reads nothing that other batches write, so that the order of batches leaves no trace.
 * Whoever ends the last one says that all labels are proposed. A second delivery finds the batch done and changes nothing.
 */
export async function handleLabelBatch(message: Message<typeof events.labelBatch>, deps: LabelDeps): Promise<void> {
  const { wiki_id, job_id, batch: no } = message.data
  const batch = await readBatch(deps.db, job_id, 'label', no)
  if (!batch) throw new Reject(`job ${job_id} has no label batch ${no}`)
  const job = await readJob(deps.db, job_id)
  if (batch.done || job?.status !== 'running') return
  requireModel(job, deps)
  const metrics = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'tagger' })
  metrics.startStage('label', no)
  const { clusters: nos } = batch.payload as LabelBatch
  const proposals = await propose(message, deps, job, nos, metrics)
  await save(message, deps, job, { nos, proposals, metrics })
}

/** Labels must be compared with the vectors of the model that the job was embedded with. */
export function requireModel(job: Job, deps: LabelDeps): void {
  if (job.model === deps.vectors.modelId) return
  throw new RetryLater(
    OTHER_MODEL_MS,
    `job ${job.id} was planned with the model ${job.model}, this tagger has ${deps.vectors.modelId}: start a new job`,
  )
}

async function propose(
  message: Message<typeof events.labelBatch>,
  deps: LabelDeps,
  job: Job,
  nos: readonly number[],
  metrics: JobMetrics,
): Promise<Map<number, Proposal[]>> {
  const clusters = await deps.clusters.of(job, metrics.countLookups)
  const phrases = await readForClusters<ClusterPhrases>(deps.db, job.id, 'keyphrases', nos)
  const limit = Math.max(8, (job.options.tags_per_cluster ?? 5) * PROPOSALS_A_TAG)
  const started = performance.now()
  const asking = { tell: metrics.countLookups, signal: message.signal }
  const keyphrases = await proposeKeyphrases(nos, { clusters, phrases, limit }, deps.vectors, asking)
  if (job.options.labeller !== 'llm') {
    // One call of the labeller a batch, whatever stands behind it.
    const latency_ms = performance.now() - started
    metrics.increment('llm_calls')
    metrics.observe('llm_latency_ms', latency_ms)
    deps.log.event('labeller_called', { clusters: nos.length, latency_ms })
    return keyphrases
  }
  if (deps.languageModel) metrics.setDetail('labeller_model', deps.languageModel.name)
  const { signal } = message
  return proposeByLanguageModel(
    { job, batch: message.data.batch, nos, clusters, phrases, keyphrases, metrics, signal },
    deps,
  )
}

interface Proposed {
  readonly nos: readonly number[]
  readonly proposals: ReadonlyMap<number, readonly Proposal[]>
  readonly metrics: JobMetrics
}

async function save(
  message: Message<typeof events.labelBatch>,
  deps: LabelDeps,
  job: Job,
  { nos, proposals, metrics }: Proposed,
): Promise<void> {
  const { wiki_id, job_id, batch: no } = message.data
  const { context, log } = deps
  // Of deliveries before this one too, whose process was killed: they were made, and paid for.
  if (job.options.labeller === 'llm') countCalls(metrics, await readLlmCalls(deps.db, job_id, no))
  const progress = await deps.relay.commit(async (tx, owe) => {
    const reached = await finishBatch(tx, job_id, 'label', no, { clusters: nos.length })
    if (!reached) return undefined
    await saveForClusters(
      tx,
      job_id,
      'proposals',
      nos.map((cluster) => ({ no: cluster, json: JSON.stringify(proposals.get(cluster) ?? []) })),
    )
    owe(...metrics.toMessages(context))
    owe(toMessage(events.jobProgressed, { wiki_id, job_id, stage: 'label', ...reached, unit: 'steps' }, context))
    // The step that is left when all batches are done is the matching with the vocabulary.
    if (reached.done === reached.total - 1) {
      const clusters = await readForClusters(tx, job_id, 'proposals')
      owe(toMessage(events.labelsProposed, { wiki_id, job_id, clusters: clusters.size }, context))
    }
    return reached
  })
  if (!progress) return
  const { duration_seconds } = metrics.toJSON()
  log.event('batch_completed', { stage: 'label', batch: String(no), duration_seconds, ...progress })
}
