import {
  openDatabase,
  readForClusters,
  readStoredClusters,
  type StoredCluster,
  type StoredTag,
} from '@tagloom/database'
import { type MeaningCosines, type Proposal, type Resolution, resolveTags, type VocabularyMode } from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit/worker'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'

/*
 * A worker thread with a connection of its own, because holding ten thousand tags against a thousand clusters takes seconds, and because
 * what the texts say for each of them is too much to be copied from thread to thread.
 */

export interface ResolveInput {
  readonly databaseUrl: string
  readonly jobId: string
  readonly vocabulary: readonly Omit<StoredTag, 'embedding'>[]
  /** Every label of proposals and vocabulary, and its vector [labels × dims] */
  readonly labels: readonly string[]
  readonly vectors: Float32Array
  /** Of the model that made the vectors */
  readonly meaning: MeaningCosines
  readonly mode: VocabularyMode
  readonly tagsPerCluster: number
}

export interface Resolved {
  readonly resolution: Resolution
  readonly clusterNos: readonly number[]
  /** Pairs of the clusters' tags that look alike to a person but are two */
  readonly duplicatePairsLeft: number
  readonly sameMeaningCosine: number
}

async function resolve(input: ResolveInput): Promise<Resolved> {
  const { clusters, proposals, phrases } = await read(input)
  const { vectors, labels, vocabulary, meaning, mode, tagsPerCluster } = input
  const dims = labels.length === 0 ? 0 : vectors.length / labels.length
  const rows = new Map(labels.map((label, row) => [label, row]))
  const vectorOf = (label: string) => {
    const row = rows.get(label)
    if (row === undefined) throw new Error(`the label "${label}" came without its vector`)
    return vectors.subarray(row * dims, (row + 1) * dims)
  }
  const centroids = new Float32Array(clusters.length * (clusters[0]?.centroid.length ?? 0))
  clusters.forEach(({ centroid }, row) => {
    centroids.set(centroid, row * centroid.length)
  })
  const toTag = clusters.map(({ no, layer, parentNo }) => ({
    no,
    layer,
    parentNo,
    proposals: proposals.get(no) ?? [],
    shares: new Map(phrases.get(no)?.vocabulary.map(([form, coverage, precision]) => [form, { coverage, precision }])),
  }))
  const resolution = resolveTags({ clusters: toTag, centroids, vocabulary, vectorOf, meaning, mode, tagsPerCluster })
  return {
    resolution,
    clusterNos: clusters.map(({ no }) => no),
    duplicatePairsLeft: countAlike(usedLabels(resolution, vocabulary), vectorOf, meaning.alike),
    sameMeaningCosine: meaning.same,
  }
}

interface OfClusters {
  readonly clusters: readonly StoredCluster[]
  readonly proposals: ReadonlyMap<number, readonly Proposal[]>
  readonly phrases: ReadonlyMap<number, ClusterPhrases>
}

async function read({ databaseUrl, jobId }: ResolveInput): Promise<OfClusters> {
  const db = openDatabase({ url: databaseUrl, max: 1, applicationName: 'tagloom-tagger-resolve' })
  try {
    const clusters = await readStoredClusters(db, jobId)
    const proposals = await readForClusters<Proposal[]>(db, jobId, 'proposals')
    const phrases = await readForClusters<ClusterPhrases>(db, jobId, 'keyphrases')
    return { clusters, proposals, phrases }
  } finally {
    await db.close()
  }
}

function usedLabels(resolution: Resolution, vocabulary: ResolveInput['vocabulary']): string[] {
  const labelOf = new Map(vocabulary.map(({ id, label }) => [id, label]))
  const used = resolution.clusterTags.map(({ tag }) =>
    'id' in tag ? labelOf.get(tag.id) : resolution.newTags[tag.newTag]?.label,
  )
  return [...new Set(used)].filter((label) => label !== undefined)
}

/** Those that mean the same are one already. */
function countAlike(labels: readonly string[], vectorOf: (label: string) => Float32Array, alike: number): number {
  const vectors = labels.map(vectorOf)
  let pairs = 0
  for (let i = 1; i < vectors.length; i++) {
    for (let j = 0; j < i; j++) {
      let cosine = 0
      for (let d = 0; d < vectors[i]!.length; d++) cosine += vectors[i]![d]! * vectors[j]![d]!
      if (cosine >= alike) pairs++
    }
  }
  return pairs
}

answerParent(async (input: ResolveInput) => ({ result: await resolve(input) }))
