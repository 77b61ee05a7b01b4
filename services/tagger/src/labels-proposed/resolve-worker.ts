import type { StoredCluster, StoredTag } from '@tagloom/database'
import { type Proposal, type Resolution, resolveTags, type VocabularyMode } from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit/worker'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'

/*
 * A worker thread, because comparing a thousand labels with each other takes longer than an event loop may stand still.
 */

export interface ResolveInput {
  readonly clusters: readonly StoredCluster[]
  readonly proposals: ReadonlyMap<number, readonly Proposal[]>
  readonly phrases: ReadonlyMap<number, ClusterPhrases>
  readonly vocabulary: readonly StoredTag[]
  /** Every label of proposals and vocabulary, and its vector [labels × dims] */
  readonly labels: readonly string[]
  readonly vectors: Float32Array
  readonly mode: VocabularyMode
  readonly tagsPerCluster: number
}

export interface Resolved {
  readonly resolution: Resolution
  /** Pairs of the clusters' tags that look alike to a person but are two */
  readonly duplicatePairsLeft: number
}

/** Two tags nearer than this look like duplicates; those nearer than the merging threshold are one already. */
const LOOKS_ALIKE = 0.85

export function resolve(input: ResolveInput): Resolved {
  const { clusters, vectors, labels } = input
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
  const resolution = resolveTags({
    clusters: clusters.map(({ no, layer, parentNo }) => ({
      no,
      layer,
      parentNo,
      proposals: input.proposals.get(no) ?? [],
      shares: new Map(
        input.phrases.get(no)?.vocabulary.map(([form, coverage, precision]) => [form, { coverage, precision }]),
      ),
    })),
    centroids,
    vocabulary: input.vocabulary,
    vectorOf,
    mode: input.mode,
    tagsPerCluster: input.tagsPerCluster,
  })
  return { resolution, duplicatePairsLeft: alike(usedLabels(resolution, input.vocabulary), vectorOf) }
}

function usedLabels(resolution: Resolution, vocabulary: readonly StoredTag[]): string[] {
  const labelOf = new Map(vocabulary.map(({ id, label }) => [id, label]))
  const used = resolution.clusterTags.map(({ tag }) =>
    'id' in tag ? labelOf.get(tag.id) : resolution.newTags[tag.newTag]?.label,
  )
  return [...new Set(used)].filter((label) => label !== undefined)
}

function alike(labels: readonly string[], vectorOf: (label: string) => Float32Array): number {
  const vectors = labels.map(vectorOf)
  let pairs = 0
  for (let i = 1; i < vectors.length; i++) {
    for (let j = 0; j < i; j++) {
      let cosine = 0
      for (let d = 0; d < vectors[i]!.length; d++) cosine += vectors[i]![d]! * vectors[j]![d]!
      if (cosine >= LOOKS_ALIKE) pairs++
    }
  }
  return pairs
}

answerParent(async (input: ResolveInput) => ({ result: resolve(input) }))
