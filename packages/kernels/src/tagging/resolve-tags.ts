import { FITS, fitsByMeaning, labelConfidence } from './cluster-confidence.ts'
import { KnownTags, type Layer } from './known-tags.ts'
import type { MeaningCosines } from './meaning-cosines.ts'
import { type Joined, joinSpellings, withJoined } from './spellings.ts'

/*
 * From what was proposed for each cluster to the tags that it gets, in one pass over the clusters in their order, so that the same
 * proposals and vocabulary give the same tags whoever proposed them when.
 *
 * Tags of the vocabulary that are spellings of one thing are joined first.
 * A proposal's way: form known, or the same letters of near meaning? → rejected: dropped; merged: stands for its target; else that tag. Form new? → the label that means the
 * same, most nearly: a rejected one: dropped; a living one, or one that a person merged: merged into that tag, which is remembered; none: a
 * new tag, if the mode allows one.
 * Modes: `prefer` takes tags of the vocabulary that fit, and proposals only for clusters that none fits, the fewer the more of the wiki the
 * vocabulary covers; `only` makes no new tag; `free` takes proposals alone. A tag of the vocabulary that a language model named for a
 * cluster fits it: it was shown those that are nearest, and what the cluster's pages do not support was dropped before.
 */

export type VocabularyMode = 'prefer' | 'only' | 'free'

export interface VocabularyTag {
  readonly id: number
  readonly label: string
  readonly form: string
  readonly status: 'proposed' | 'approved' | 'rejected' | 'merged'
  readonly mergedInto: number | null
  /** A person merged it: what means the same as it is that tag too */
  readonly mergedByPerson: boolean
  /** The broader tag that an earlier run gave it, where that stands above it still */
  readonly parentId: number | null
  /** A rule merged it before, by its meaning or its letters */
  readonly joinedOnce: boolean
}

export interface Proposal {
  readonly label: string
  readonly confidence: number
  readonly method: 'keyphrases' | 'llm'
}

export interface ClusterToTag {
  readonly no: number
  readonly layer: number
  readonly parentNo: number | null
  /** Best first */
  readonly proposals: readonly Proposal[]
  /** By form of vocabulary tags: what the texts of the cluster's pages say for them */
  readonly shares: ReadonlyMap<string, { readonly coverage: number; readonly precision: number }>
}

export interface ToResolve {
  readonly clusters: readonly ClusterToTag[]
  /** [clusters × dims], unit length */
  readonly centroids: Float32Array
  /** Every tag of the wiki, whatever its status */
  readonly vocabulary: readonly VocabularyTag[]
  /** Unit vector of a label; must know those of the vocabulary and of all proposals */
  readonly vectorOf: (label: string) => Float32Array
  /** Of the model that made the vectors */
  readonly meaning: MeaningCosines
  readonly mode: VocabularyMode
  readonly tagsPerCluster: number
}

/** A tag of the vocabulary by id, or a new one by its place in `newTags`. */
export type TagReference = { readonly id: number } | { readonly newTag: number }

export interface ResolvedClusterTag {
  readonly clusterNo: number
  readonly tag: TagReference
  readonly confidence: number
  readonly method: 'vocabulary' | 'keyphrases' | 'llm'
  readonly rank: number
}

export interface Resolution {
  readonly clusterTags: readonly ResolvedClusterTag[]
  readonly newTags: readonly { readonly label: string; readonly form: string; readonly source: 'keyphrases' | 'llm' }[]
  /** New forms that mean what another tag means */
  readonly merged: readonly { readonly label: string; readonly form: string; readonly into: TagReference }[]
  /** Tags of the vocabulary that are spellings of one thing */
  readonly joined: readonly Joined[]
  /** A broader tag for tags that have none yet */
  readonly parents: readonly { readonly tag: TagReference; readonly parent: TagReference }[]
}

export function resolveTags(given: ToResolve): Resolution {
  const joined = joinSpellings(given.vocabulary, given.vectorOf, given.meaning.sameSpelling)
  const of = { ...given, vocabulary: withJoined(given.vocabulary, joined) }
  const tags = new KnownTags(of)
  const layers = layerCentroids(of)
  const clusterTags: ResolvedClusterTag[] = []
  const fitting = of.clusters.map((cluster) =>
    of.mode === 'free' ? [] : fittingTags(tags, cluster, layers.get(cluster.layer)!).slice(0, of.tagsPerCluster),
  )
  const mostNew = newTagsOfCluster(of, fitting.filter((list) => list.length > 0).length / of.clusters.length)
  const chosenOf = new Map<number, Chosen[]>()
  for (const [at, cluster] of of.clusters.entries()) {
    const chosen = fitting[at]!
    if (of.mode !== 'only' && chosen.length === 0) addProposals(of, tags, cluster, chosen, mostNew)
    chosenOf.set(cluster.no, chosen)
    chosen.forEach(({ key, confidence, method }, rank) => {
      clusterTags.push({ clusterNo: cluster.no, tag: tags.reference(key), confidence, method, rank })
    })
  }
  return { clusterTags, newTags: tags.newTags, merged: tags.merged, joined, parents: parentsOf(of, tags, chosenOf) }
}

interface Chosen {
  readonly key: number
  readonly confidence: number
  readonly method: ResolvedClusterTag['method']
}

function layerCentroids(of: ToResolve): Map<number, Layer> {
  const dims = of.clusters.length === 0 ? 0 : of.centroids.length / of.clusters.length
  const rows = Map.groupBy(of.clusters.keys(), (row) => of.clusters[row]!.layer)
  return new Map(
    [...rows].map(([layer, members]) => {
      const centroids = new Float32Array(members.length * dims)
      const rowOf = new Map<number, number>()
      members.forEach((row, at) => {
        centroids.set(of.centroids.subarray(row * dims, (row + 1) * dims), at * dims)
        rowOf.set(of.clusters[row]!.no, at)
      })
      return [layer, { centroids, rowOf, dims }]
    }),
  )
}

/**
 * Approved tags that fit the cluster or that a language model named, best first. Tags that only a job proposed must earn their place again
 * by their words.
 */
function fittingTags(tags: KnownTags, cluster: ClusterToTag, layer: Layer): Chosen[] {
  const row = layer.rowOf.get(cluster.no)!
  const fitting = new Map<number, Chosen>()
  for (const { key, form, standing } of tags.approved(layer)) {
    const shares = cluster.shares.get(form)
    const stands = standing(row)
    if (shares === undefined && !fitsByMeaning(stands)) continue
    const confidence = labelConfidence({ ...(shares ?? { coverage: 0, precision: 0 }), ...stands })
    if (confidence >= FITS) fitting.set(key, { key, confidence, method: 'vocabulary' })
  }
  for (const { label, confidence, method } of cluster.proposals) {
    const key = method === 'llm' ? tags.find(label) : undefined
    if (key === undefined || !tags.isApproved(key) || (fitting.get(key)?.confidence ?? 0) >= confidence) continue
    fitting.set(key, { key, confidence, method })
  }
  return [...fitting.values()].sort((a, b) => b.confidence - a.confidence || a.key - b.key)
}

/**
 * Most tags outside the vocabulary of a cluster that none of it fits. A wiki whose vocabulary fits half of its clusters has its words: one.
 * Where it fits fewer the more are made, up to all: a single approved tag must not leave the other clusters with one each.
 */
function newTagsOfCluster({ mode, tagsPerCluster }: ToResolve, fittedShare: number): number {
  if (mode === 'free') return tagsPerCluster
  return Math.round(1 + (tagsPerCluster - 1) * Math.max(0, 1 - 2 * fittedShare))
}

function addProposals(of: ToResolve, tags: KnownTags, cluster: ClusterToTag, chosen: Chosen[], mostNew: number): void {
  let outside = 0
  for (const proposal of cluster.proposals) {
    if (chosen.length >= of.tagsPerCluster) return
    const key = tags.find(proposal.label) ?? (outside < mostNew ? tags.take(proposal) : undefined)
    if (key === undefined || chosen.some((one) => one.key === key)) continue
    // What an earlier job proposed counts as new until a person approves it, or each run would add some.
    if (!tags.isApproved(key) && ++outside > mostNew) continue
    chosen.push({ key, confidence: proposal.confidence, method: proposal.method })
  }
}

/**
 * The first tag of the cluster above is broader than the tags below, where it is not one of them and no circle comes of it, with the
 * parents of earlier runs either.
 */
function parentsOf(
  of: ToResolve,
  tags: KnownTags,
  chosenOf: ReadonlyMap<number, readonly Chosen[]>,
): Resolution['parents'] {
  const parents = new Map<number, number>()
  const keyOf = new Map(of.vocabulary.map(({ id }, key) => [id, key]))
  of.vocabulary.forEach(({ parentId }, key) => {
    const parent = parentId === null ? undefined : keyOf.get(parentId)
    if (parent !== undefined) parents.set(key, parent)
  })
  const known = parents.size
  for (const cluster of of.clusters) {
    const above = cluster.parentNo === null ? undefined : chosenOf.get(cluster.parentNo)
    const parent = above?.[0]?.key
    if (parent === undefined) continue
    for (const { key } of chosenOf.get(cluster.no) ?? []) {
      if (parents.has(key) || above!.some((one) => one.key === key) || isUnder(parents, parent, key)) continue
      parents.set(key, parent)
    }
  }
  return [...parents]
    .slice(known)
    .map(([key, parent]) => ({ tag: tags.reference(key), parent: tags.reference(parent) }))
}

function isUnder(parents: ReadonlyMap<number, number>, key: number, ancestor: number): boolean {
  const passed = new Set<number>()
  let at: number | undefined = key
  // Parents that came from elsewhere may hold a circle already.
  while (at !== undefined && at !== ancestor && !passed.has(at)) {
    passed.add(at)
    at = parents.get(at)
  }
  return at === ancestor
}
