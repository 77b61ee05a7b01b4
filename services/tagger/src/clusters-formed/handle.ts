import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  type Job,
  planStage,
  readJob,
  readStoredClusters,
  readVocabulary,
  type StoredCluster,
  saveForClusters,
} from '@tagloom/database'
import { type HandlerDeps, JobMetrics, runInWorker } from '@tagloom/service-kit'
import type { CountInput, CountResult } from './phrases.ts'

/** Clusters of one label batch: keyphrases are cheap, calls of a language model are not. */
const BATCH_CLUSTERS = { keyphrases: 32, llm: 4 } as const

/** What a label batch is: numbers of clusters. */
export interface LabelBatch {
  readonly clusters: readonly number[]
}

/**
 * Counts the phrases of the job's pages by cluster and plans the batches that propose labels; without clusters there is nothing to
 * propose. One transaction. A second delivery finds the stage planned and changes nothing.
 */
export async function handleClustersFormed(
  message: Message<typeof events.clustersFormed>,
  deps: HandlerDeps,
): Promise<void> {
  const { wiki_id, job_id } = message.data
  const job = await readJob(deps.db, job_id)
  if (job?.status !== 'running') return
  const metrics = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'tagger' })
  metrics.startStage('label', 'plan')
  const clusters = await readStoredClusters(deps.db, job_id)
  const counted = await count(message, deps, job, clusters)
  metrics.setDetail('topics', counted.topics)
  const batches = planBatches(clusters, job)
  const planned = await deps.relay.commit(async (tx, owe) => {
    // One step more than batches: matching the proposals with the vocabulary.
    const plan = { extraSteps: 1, planningMs: metrics.elapsedMs }
    if (!(await planStage(tx, job_id, 'label', batches, plan)).planned) return false
    await saveForClusters(tx, job_id, 'keyphrases', counted.phrases)
    owe(...metrics.toMessages(deps.context))
    const progress = { wiki_id, job_id, stage: 'label' as const, done: 0, total: batches.length + 1, unit: 'steps' }
    owe(toMessage(events.jobProgressed, progress, deps.context))
    for (const batch of batches.keys()) owe(toMessage(events.labelBatch, { wiki_id, job_id, batch }, deps.context))
    if (batches.length === 0) owe(toMessage(events.labelsProposed, { wiki_id, job_id, clusters: 0 }, deps.context))
    return true
  })
  if (planned) deps.log.event('stage_started', { stage: 'label', batches: batches.length })
}

async function count(
  message: Message<typeof events.clustersFormed>,
  deps: HandlerDeps,
  job: Job,
  clusters: readonly StoredCluster[],
): Promise<CountResult> {
  if (clusters.length === 0) return { phrases: [], topics: { npmi: null, diversity: null } }
  const vocabulary = await readVocabulary(deps.db, job.wikiId, job.model ?? '')
  const input: CountInput = {
    databaseUrl: deps.config.DATABASE_URL,
    jobId: job.id,
    clusters: clusters.map(({ no, layer, chosen }) => ({ no, layer, chosen })),
    vocabularyForms: vocabulary.filter(({ status }) => status === 'approved').map(({ form }) => form),
  }
  return runInWorker<CountResult>(new URL('./count-phrases-worker.ts', import.meta.url), {
    input,
    signal: message.signal,
  })
}

function planBatches(clusters: readonly StoredCluster[], job: Job): LabelBatch[] {
  const size = BATCH_CLUSTERS[job.options.labeller ?? 'keyphrases']
  const batches: LabelBatch[] = []
  for (let from = 0; from < clusters.length; from += size) {
    batches.push({ clusters: clusters.slice(from, from + size).map(({ no }) => no) })
  }
  return batches
}
