import { setImmediate } from 'node:timers/promises'
import type { Message } from '@tagloom/bus'
import { events, jobOptionDefaults, toMessage } from '@tagloom/contracts'
import {
  closeStage,
  createTags,
  finishStep,
  holdVocabulary,
  type Job,
  joinTags,
  readForClusters,
  readJob,
  readVocabulary,
  type StoredTag,
  saveClusterTags,
  saveTagEmbeddings,
  saveTagParents,
  standingParents,
  type Transaction,
} from '@tagloom/database'
import type { Proposal, Resolution } from '@tagloom/kernels'
import { handleOnce, JobMetrics, type Owe, runInWorker } from '@tagloom/service-kit'
import { requireModel } from '../label-batch/handle.ts'
import type { LabelDeps } from '../label-deps.ts'
import { measureResolution } from './measure-resolution.ts'
import type { Resolved, ResolveInput } from './resolve-worker.ts'

/** Vectors that are copied before the event loop has its turn: some 10 ms */
const LABELS_AT_ONCE = 2_000
/** Matchings with a vocabulary that is not held, before one that is */
const FREE_ATTEMPTS = 3

/** The vocabulary is not any more what the labels were matched with. */
class VocabularyChanged extends Error {
  override readonly name = 'VocabularyChanged'
}

interface Done {
  tags: number
  clusters: number
  seconds: number
  whole: number
  batches: number
}

/**
 * Matches all proposals of a job with the vocabulary and each other and writes the clusters' tags. Matching takes seconds where there are
 * thousands of tags, so it goes on a copy of the vocabulary while people and imports change it. The transaction that writes holds the
 * vocabulary and looks whether it still is the one that was matched; if not, all is done again, and after FREE_ATTEMPTS with the
 * vocabulary in hold, so that there is an end while an import goes on. No decision of a person falls between.
 * A second delivery finds its inbox row and does nothing.
 */
export async function handleLabelsProposed(
  message: Message<typeof events.labelsProposed>,
  deps: LabelDeps,
): Promise<void> {
  const { wiki_id: wikiId, job_id: jobId } = message.data
  // Of all attempts: what the first ones looked up and took belongs to the job too.
  const metrics = JobMetrics.of(deps, { wikiId, jobId, service: 'tagger' })
  metrics.startStage('label', 'resolve')
  let done: Done | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      await handleOnce(deps, message, async () => {
        const save = await matchLabels(message, deps, metrics, attempt)
        return async (tx, owe) => {
          done = await save(tx, owe)
        }
      })
      break
    } catch (error) {
      if (!(error instanceof VocabularyChanged)) throw error
    }
  }
  if (!done) return
  deps.log.event('stage_completed', { stage: 'label', batches: done.batches, duration_seconds: done.whole })
  deps.log.event('tags_generated', {
    clusters: done.clusters,
    tags: done.tags,
    method: 'resolved',
    duration_seconds: done.seconds,
  })
}

async function matchLabels(
  message: Message<typeof events.labelsProposed>,
  deps: LabelDeps,
  metrics: JobMetrics,
  attempt: number,
): Promise<(tx: Transaction, owe: Owe) => Promise<Done | undefined>> {
  const { wiki_id, job_id } = message.data
  const { modelId } = deps.vectors
  const job = await readJob(deps.db, job_id)
  if (job) requireModel(job, deps)
  const proposed = await readProposed(deps, job_id)
  const known =
    attempt === 1
      ? await deps.vocabularies.of(wiki_id, modelId, metrics.countLookups)
      : await readVocabulary(deps.db, wiki_id, modelId)
  const match = async (vocabulary: readonly StoredTag[]): Promise<Matched> => {
    const labels = [...new Set([...proposed, ...vocabulary.map(({ label }) => label)])]
    const vectorOf = await deps.vectors.of(labels, { tell: metrics.countLookups, signal: message.signal })
    const resolved = job && (await resolve({ job, vocabulary, labels, vectorOf }, deps, message.signal))
    return { vocabulary, vectorOf, resolved }
  }
  const free = await match(known)
  return async (tx, owe) => {
    let matched = free
    if (!(await holdVocabulary(tx, wiki_id, known))) {
      if (attempt <= FREE_ATTEMPTS) throw new VocabularyChanged()
      matched = await match(await readVocabulary(tx, wiki_id, modelId))
    }
    return matched.resolved && job && save(tx, owe, { ...matched, resolved: matched.resolved, job, metrics }, deps)
  }
}

interface Matched {
  readonly vocabulary: readonly StoredTag[]
  readonly vectorOf: (label: string) => Float32Array
  /** undefined where the job is gone */
  readonly resolved: Resolved | undefined
}

async function readProposed(deps: LabelDeps, jobId: string): Promise<string[]> {
  const proposals = await readForClusters<Proposal[]>(deps.db, jobId, 'proposals')
  return [...proposals.values()].flat().map(({ label }) => label)
}

async function resolve(
  of: { job: Job; vocabulary: readonly StoredTag[]; labels: readonly string[] } & Pick<Matched, 'vectorOf'>,
  deps: LabelDeps,
  signal: AbortSignal,
): Promise<Resolved> {
  const { options, id } = of.job
  const { dims } = deps.vectors
  const vectors = new Float32Array(of.labels.length * dims)
  for (const [row, label] of of.labels.entries()) {
    vectors.set(of.vectorOf(label), row * dims)
    if (row % LABELS_AT_ONCE === 0) await setImmediate()
  }
  const parents = standingParents(of.vocabulary)
  const input: ResolveInput = {
    databaseUrl: deps.config.DATABASE_URL,
    jobId: id,
    vocabulary: of.vocabulary.map(({ embedding: _, ...tag }) => ({ ...tag, parentId: parents.get(tag.id) ?? null })),
    labels: of.labels,
    vectors,
    meaning: await deps.vectors.meaning(),
    mode: options.vocabulary ?? jobOptionDefaults.vocabulary,
    tagsPerCluster: options.tags_per_cluster ?? jobOptionDefaults.tags_per_cluster,
  }
  const url = new URL('./resolve-worker.ts', import.meta.url)
  return runInWorker<Resolved>(url, { input, transfer: [vectors.buffer], signal })
}

async function save(
  tx: Transaction,
  owe: Owe,
  of: Matched & { resolved: Resolved; job: Job; metrics: JobMetrics },
  deps: LabelDeps,
): Promise<Done> {
  const { resolved, job, metrics } = of
  const { context } = deps
  const ids = { wiki_id: job.wikiId, job_id: job.id }
  const tags = await store(tx, job, deps, { ...of, resolution: resolved.resolution })
  measureResolution(metrics, resolved, of.vocabulary)
  const progress = await finishStep(tx, job.id, 'label')
  owe(...metrics.toMessages(context))
  owe(toMessage(events.jobProgressed, { ...ids, stage: 'label', ...progress, unit: 'steps' }, context))
  const { newTags, merged, joined } = resolved.resolution
  if (newTags.length + merged.length + joined.length > 0) {
    const revision = `labels.${job.id}`
    owe(toMessage(events.vocabularyChanged, { wiki_id: job.wikiId, revision, reason: 'labels' }, context))
  }
  const clusters = resolved.clusterNos.length
  owe(toMessage(events.clustersTagged, { ...ids, clusters, tags }, context))
  const { duration_seconds: seconds } = metrics.toJSON()
  return { tags, clusters, seconds, whole: await closeStage(tx, job.id, 'label'), batches: progress.total }
}

/** Writes joined, new, merged and broader tags and the clusters' tags. @returns how many different tags the clusters have */
async function store(
  tx: Transaction,
  job: Job,
  deps: LabelDeps,
  of: { resolution: Resolution; vocabulary: readonly StoredTag[]; vectorOf: (label: string) => Float32Array },
): Promise<number> {
  const { resolution, vectorOf } = of
  await joinTags(tx, job.wikiId, resolution.joined)
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
