import type { Message } from '@tagloom/bus'
import { events, jobOptionDefaults, toMessage } from '@tagloom/contracts'
import {
  closeStage,
  createTags,
  finishStep,
  holdVocabulary,
  type Job,
  readForClusters,
  readJob,
  readStoredClusters,
  type StoredCluster,
  type StoredTag,
  saveClusterTags,
  saveTagEmbeddings,
  saveTagParents,
  type Transaction,
} from '@tagloom/database'
import type { Proposal, Resolution } from '@tagloom/kernels'
import { handleOnce, JobMetrics, runInWorker } from '@tagloom/service-kit'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'
import { requireModel } from '../label-batch/handle.ts'
import type { LabelDeps } from '../label-deps.ts'
import { measureResolution } from './measure-resolution.ts'
import type { Resolved, ResolveInput } from './resolve-worker.ts'

/**
 * Matches all proposals of a job with the vocabulary and each other and writes the clusters' tags. The vocabulary is read and held in
 * the transaction that writes, so that no decision of a person falls between. A second delivery finds its inbox row and does nothing.
 */
export async function handleLabelsProposed(
  message: Message<typeof events.labelsProposed>,
  deps: LabelDeps,
): Promise<void> {
  const { wiki_id, job_id } = message.data
  const { context, log } = deps
  const done = { tags: 0, clusters: 0, seconds: 0, whole: 0, batches: 0 }
  await handleOnce(deps, message, async () => {
    const job = await readJob(deps.db, job_id)
    if (job) requireModel(job, deps)
    const metrics = new JobMetrics({
      wikiId: wiki_id,
      jobId: job_id,
      service: 'tagger',
      enabled: deps.config.ENABLE_METRICS,
      version: deps.config.TAGLOOM_VERSION,
      databaseErrors: deps.databaseErrors,
    })
    metrics.startStage('label', 'resolve')
    const input = await readInput(deps, job_id)
    const known = await deps.vocabularies.of(wiki_id, deps.vectors.modelId, metrics.countLookups)
    const proposed = [...input.proposals.values()].flat().map(({ label }) => label)
    const asked = new Set([...proposed, ...known.map(({ label }) => label)])
    const vectorOfAsked = await deps.vectors.of(asked, metrics.countLookups)
    return async (tx, owe) => {
      if (!job) return
      const vocabulary = await holdVocabulary(tx, wiki_id, deps.vectors.modelId)
      // What came meanwhile is little: trying again instead would not end while pages with tags are imported.
      const came = vocabulary.map(({ label }) => label).filter((label) => !asked.has(label))
      const vectorOfCame = await deps.vectors.of(came)
      const vectorOf = (label: string) => (asked.has(label) ? vectorOfAsked : vectorOfCame)(label)
      const labels = [...asked, ...came]
      const vectors = new Float32Array(labels.length * deps.vectors.dims)
      labels.forEach((label, row) => {
        vectors.set(vectorOf(label), row * deps.vectors.dims)
      })
      const resolved = await resolve(input, { job, vocabulary, labels, vectors }, message.signal)
      const stored = await store(tx, job, deps, { resolution: resolved.resolution, vocabulary, vectorOf })
      measureResolution(metrics, resolved, { clusters: input.clusters, vocabulary })
      const progress = await finishStep(tx, job_id, 'label')
      owe(...metrics.toMessages(context))
      owe(toMessage(events.jobProgressed, { wiki_id, job_id, stage: 'label', ...progress, unit: 'steps' }, context))
      const { newTags, merged } = resolved.resolution
      if (newTags.length + merged.length > 0) {
        owe(toMessage(events.vocabularyChanged, { wiki_id, revision: `labels.${job_id}`, reason: 'labels' }, context))
      }
      const clusters = input.clusters.length
      owe(toMessage(events.clustersTagged, { wiki_id, job_id, clusters, tags: stored }, context))
      const seconds = metrics.toJSON().duration_seconds
      const whole = await closeStage(tx, job_id, 'label')
      Object.assign(done, { tags: stored, clusters, seconds, whole, batches: progress.total })
    }
  })
  if (done.batches === 0) return
  log.event('stage_completed', { stage: 'label', batches: done.batches, duration_seconds: done.whole })
  log.event('tags_generated', {
    clusters: done.clusters,
    tags: done.tags,
    method: 'resolved',
    duration_seconds: done.seconds,
  })
}

interface Input {
  readonly clusters: readonly StoredCluster[]
  readonly proposals: ReadonlyMap<number, readonly Proposal[]>
  readonly phrases: ReadonlyMap<number, ClusterPhrases>
}

async function readInput(deps: LabelDeps, jobId: string): Promise<Input> {
  const clusters = await readStoredClusters(deps.db, jobId)
  const proposals = await readForClusters<Proposal[]>(deps.db, jobId, 'proposals')
  const phrases = await readForClusters<ClusterPhrases>(deps.db, jobId, 'keyphrases')
  return { clusters, proposals, phrases }
}

function resolve(
  input: Input,
  of: { job: Job; vocabulary: readonly StoredTag[]; labels: readonly string[]; vectors: Float32Array },
  signal: AbortSignal,
): Promise<Resolved> {
  const { options } = of.job
  const whole: ResolveInput = {
    ...input,
    vocabulary: of.vocabulary,
    labels: of.labels,
    vectors: of.vectors,
    mode: options.vocabulary ?? jobOptionDefaults.vocabulary,
    tagsPerCluster: options.tags_per_cluster ?? jobOptionDefaults.tags_per_cluster,
  }
  return runInWorker<Resolved>(new URL('./resolve-worker.ts', import.meta.url), { input: whole, signal })
}

/** Writes new, merged and broader tags and the clusters' tags. @returns how many different tags the clusters have */
async function store(
  tx: Transaction,
  job: Job,
  deps: LabelDeps,
  of: { resolution: Resolution; vocabulary: readonly StoredTag[]; vectorOf: (label: string) => Float32Array },
): Promise<number> {
  const { resolution, vectorOf } = of
  const place = { wikiId: job.wikiId, jobId: job.id, model: deps.vectors.modelId }
  const created = await createTags(
    tx,
    place,
    resolution.newTags.map((tag) => ({ ...tag, status: 'proposed', mergedInto: null, embedding: vectorOf(tag.label) })),
  )
  const idOf = (ref: Resolution['clusterTags'][number]['tag']): number => ('id' in ref ? ref.id : created[ref.newTag]!)
  await createTags(
    tx,
    place,
    resolution.merged.map(({ label, form, into }) => ({
      label,
      form,
      status: 'merged',
      mergedInto: idOf(into),
      source: 'keyphrases',
      embedding: vectorOf(label),
    })),
  )
  const bare = of.vocabulary.filter(({ embedding, status }) => embedding === null && status !== 'merged')
  await saveTagEmbeddings(
    tx,
    place.model,
    bare.map(({ id, label }) => ({ id, embedding: vectorOf(label) })),
  )
  await saveTagParents(
    tx,
    resolution.parents.map(({ tag, parent }) => ({ id: idOf(tag), parentId: idOf(parent) })),
  )
  await saveClusterTags(
    tx,
    job.id,
    resolution.clusterTags.map(({ tag, ...row }) => ({ ...row, tagId: idOf(tag) })),
  )
  return new Set(resolution.clusterTags.map(({ tag }) => idOf(tag))).size
}
