import {
  type Database,
  type Job,
  readClusterTags,
  readJobVocabulary,
  readLayers,
  readVectorSample,
  readVocabulary,
  type StoredTag,
} from '@tagloom/database'
import { type TagBackground, type TagsOfClusters, tagBackground } from '@tagloom/kernels'
import { LoadingCache, type TellLookups } from '@tagloom/service-kit'
import { breathe } from './breathe.ts'

/** What the batches of a job have in common. */
export interface JobTags extends TagsOfClusters {
  readonly tagIds: readonly number[]
  /** Rows of tags that a person rejected since the clusters got them, or merged into a rejected one */
  readonly rejected: ReadonlySet<number>
  readonly layers: readonly number[]
}

/** Of all jobs that are kept: their tags, vectors and background */
const MOST_BYTES = 128 << 20
const SAMPLE_PAGES = 500
const TAGS_AT_ONCE = 50

/**
 * The tags of jobs that are being propagated. What a job compares its pages with never changes; statuses of tags do, so that a change of
 * a wiki's vocabulary drops its jobs. ENABLE_QUERY_CACHING=false reads them for every batch: the same tags, slower.
 */
export class JobTagsCache {
  #db: Database
  #cache: LoadingCache<JobTags>

  constructor(db: Database, enabled: boolean) {
    this.#db = db
    this.#cache = new LoadingCache({ enabled, mostBytes: MOST_BYTES, bytesOf })
  }

  get counts(): { readonly hits: number; readonly misses: number } {
    return this.#cache.counts
  }

  of(job: Job, tell?: TellLookups): Promise<JobTags> {
    return this.#cache.of(job.wikiId, job.id, () => loadJobTags(this.#db, job), tell)
  }

  forget(wikiId: number): void {
    this.#cache.forget(wikiId)
  }
}

/** Vectors, two floats of background a tag, and some 100 bytes for each entry of a list. */
const bytesOf = (tags: JobTags): number =>
  tags.tagVectors.byteLength +
  tags.tagIds.length * 116 +
  [...tags.byCluster.values()].reduce((sum, list) => sum + 100 * (1 + list.length), 0)

async function loadJobTags(db: Database, job: Job): Promise<JobTags> {
  const model = job.model ?? ''
  const clusterTags = await readClusterTags(db, job.id)
  const used = new Set(clusterTags.map(({ tagId }) => tagId))
  const approved = job.options.vocabulary === 'free' ? new Set<number>() : await readJobVocabulary(db, job.id)
  const wanted = (tag: StoredTag) => used.has(tag.id) || (approved.has(tag.id) && tag.embedding !== null)
  const vocabulary = await readVocabulary(db, job.wikiId, model)
  const tags = vocabulary.filter(wanted)
  const rows = new Map(tags.map(({ id }, row) => [id, row]))
  const dims = tags.find(({ embedding }) => embedding)?.embedding?.length ?? 0
  const tagVectors = new Float32Array(tags.length * dims)
  tags.forEach(({ embedding }, row) => {
    if (embedding) tagVectors.set(embedding, row * dims)
  })
  const byCluster = new Map<number, { tag: number; confidence: number }[]>()
  for (const { clusterNo, tagId, confidence } of clusterTags) {
    const tag = rows.get(tagId)
    if (tag === undefined) continue
    const list = byCluster.get(clusterNo)
    if (list) list.push({ tag, confidence })
    else byCluster.set(clusterNo, [{ tag, confidence }])
  }
  return {
    tagIds: tags.map(({ id }) => id),
    rejected: rejectedRows(tags, vocabulary),
    layers: await readLayers(db, job.id),
    byCluster,
    tagVectors,
    dims,
    background: dims
      ? await background(tagVectors, await readVectorSample(db, job.id, model, SAMPLE_PAGES), dims)
      : nothingToCompare(tags.length),
  }
}

/** A merged tag is shown as the one that it went into, which need not be among the job's. */
function rejectedRows(tags: readonly StoredTag[], vocabulary: readonly StoredTag[]): Set<number> {
  const rejected = new Set(vocabulary.flatMap(({ id, status }) => (status === 'rejected' ? [id] : [])))
  return new Set(tags.flatMap(({ id, mergedInto }, row) => (rejected.has(mergedInto ?? id) ? [row] : [])))
}

/** A wiki without a topic has no tags; where another model made the vectors since, membership alone speaks for those of clusters. */
const nothingToCompare = (tags: number): TagBackground => ({
  mean: new Float32Array(tags),
  spread: new Float32Array(tags),
})

/** In pieces, so that the event loop stays free. */
async function background(
  tagVectors: Float32Array,
  sample: readonly Float32Array[],
  dims: number,
): Promise<TagBackground> {
  const pages = new Float32Array(sample.length * dims)
  sample.forEach((vector, row) => {
    pages.set(vector, row * dims)
  })
  const tags = tagVectors.length / dims
  const whole = { mean: new Float32Array(tags), spread: new Float32Array(tags) }
  for (let from = 0; from < tags; from += TAGS_AT_ONCE) {
    const part = tagBackground(tagVectors.subarray(from * dims, (from + TAGS_AT_ONCE) * dims), pages, dims)
    whole.mean.set(part.mean, from)
    whole.spread.set(part.spread, from)
    await breathe()
  }
  return whole
}
