import { tagForm } from '@tagloom/contracts'
import { cosinesTo, dot, FITS, labelConfidence, standOut } from './cluster-confidence.ts'

/*
 * From what was proposed for each cluster to the tags that it gets, in one pass over the clusters in their order, so that the same
 * proposals and vocabulary give the same tags whoever proposed them when.
 *
 * A proposal's way: form known? → rejected: dropped; merged: stands for its target; else that tag. Form new? → near in meaning to a
 * rejected tag: dropped; near to a living one: merged into it, which is remembered; else a new tag, if the mode allows one.
 * Modes: `prefer` takes tags of the vocabulary that fit, and proposals only for clusters that none fits; `only` makes no new tag;
 * `free` takes proposals alone.
 */

export type VocabularyMode = 'prefer' | 'only' | 'free'

export interface VocabularyTag {
  readonly id: number
  readonly label: string
  readonly form: string
  readonly status: 'proposed' | 'approved' | 'rejected' | 'merged'
  readonly mergedInto: number | null
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
  /** A broader tag for tags that have none yet */
  readonly parents: readonly { readonly tag: TagReference; readonly parent: TagReference }[]
}

/** Cosine from which two labels mean the same. At 0.9 all-MiniLM joins "e-mail" with "email address", and parts "ECDSA" from "EdDSA". */
const SAME_MEANING = 0.9

export function resolveTags(of: ToResolve): Resolution {
  const tags = new KnownTags(of)
  const layers = layerCentroids(of)
  const clusterTags: ResolvedClusterTag[] = []
  const chosenOf = new Map<number, Chosen[]>()
  for (const cluster of of.clusters) {
    const layer = layers.get(cluster.layer)!
    const fitting = of.mode === 'free' ? [] : fittingTags(tags, cluster, layer)
    const chosen = fitting.slice(0, of.tagsPerCluster)
    if (of.mode === 'free' || (of.mode === 'prefer' && chosen.length === 0)) addProposals(of, tags, cluster, chosen)
    chosenOf.set(cluster.no, chosen)
    chosen.forEach(({ key, confidence, method }, rank) => {
      clusterTags.push({ clusterNo: cluster.no, tag: tags.reference(key), confidence, method, rank })
    })
  }
  return { clusterTags, newTags: tags.newTags, merged: tags.merged, parents: parentsOf(of, tags, chosenOf) }
}

interface Chosen {
  readonly key: number
  readonly confidence: number
  readonly method: ResolvedClusterTag['method']
}

interface Layer {
  readonly centroids: Float32Array
  readonly rowOf: ReadonlyMap<number, number>
  readonly dims: number
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

/** Approved tags that fit the cluster, best first. Tags that only a job proposed must earn their place again by their words. */
function fittingTags(tags: KnownTags, cluster: ClusterToTag, layer: Layer): Chosen[] {
  const row = layer.rowOf.get(cluster.no)!
  const fitting: Chosen[] = []
  for (const { key, form, cosines } of tags.approved(layer)) {
    const shares = cluster.shares.get(form) ?? { coverage: 0, precision: 0 }
    const confidence = labelConfidence({ ...shares, ...standOut(cosines, row) })
    if (confidence >= FITS) fitting.push({ key, confidence, method: 'vocabulary' })
  }
  return fitting.sort((a, b) => b.confidence - a.confidence || a.key - b.key)
}

function addProposals(of: ToResolve, tags: KnownTags, cluster: ClusterToTag, chosen: Chosen[]): void {
  for (const proposal of cluster.proposals) {
    if (chosen.length >= of.tagsPerCluster) return
    const key = tags.take(proposal)
    if (key === undefined || chosen.some((one) => one.key === key)) continue
    chosen.push({ key, confidence: proposal.confidence, method: proposal.method })
  }
}

/** The first tag of the cluster above is broader than the tags below, where it is not one of them and no circle comes of it. */
function parentsOf(
  of: ToResolve,
  tags: KnownTags,
  chosenOf: ReadonlyMap<number, readonly Chosen[]>,
): Resolution['parents'] {
  const parents = new Map<number, number>()
  for (const cluster of of.clusters) {
    const above = cluster.parentNo === null ? undefined : chosenOf.get(cluster.parentNo)
    const parent = above?.[0]?.key
    if (parent === undefined) continue
    for (const { key } of chosenOf.get(cluster.no) ?? []) {
      if (parents.has(key) || above!.some((one) => one.key === key) || isUnder(parents, parent, key)) continue
      parents.set(key, parent)
    }
  }
  return [...parents].map(([key, parent]) => ({ tag: tags.reference(key), parent: tags.reference(parent) }))
}

function isUnder(parents: ReadonlyMap<number, number>, key: number, ancestor: number): boolean {
  let at: number | undefined = key
  while (at !== undefined && at !== ancestor) at = parents.get(at)
  return at === ancestor
}

interface Living {
  readonly key: number
  readonly form: string
  readonly vector: Float32Array
}

/** The vocabulary as it grows during the pass. A key is a tag's place: those of the vocabulary first, then new ones. */
class KnownTags {
  readonly newTags: { label: string; form: string; source: 'keyphrases' | 'llm' }[] = []
  readonly merged: { label: string; form: string; into: TagReference }[] = []
  #vocabulary: readonly VocabularyTag[]
  #vectorOf: (label: string) => Float32Array
  /** Key a form stands for; null: rejected */
  #byForm = new Map<string, number | null>()
  #living: Living[] = []
  #rejected: Float32Array[] = []
  #cosines = new Map<Layer, { key: number; form: string; cosines: Float32Array }[]>()

  constructor(of: ToResolve) {
    this.#vocabulary = of.vocabulary
    this.#vectorOf = of.vectorOf
    const keyOf = new Map(of.vocabulary.map((tag, key) => [tag.id, key]))
    of.vocabulary.forEach((tag, key) => {
      const target = tag.status === 'merged' ? keyOf.get(tag.mergedInto ?? -1) : key
      const dead = target === undefined || of.vocabulary[target]!.status === 'rejected'
      this.#remember(tag.form, dead ? null : target)
      if (tag.status === 'rejected') this.#rejected.push(of.vectorOf(tag.label))
      else if (tag.status !== 'merged') this.#living.push({ key, form: tag.form, vector: of.vectorOf(tag.label) })
    })
  }

  reference(key: number): TagReference {
    const known = this.#vocabulary[key]
    return known ? { id: known.id } : { newTag: key - this.#vocabulary.length }
  }

  approved(layer: Layer): { key: number; form: string; cosines: Float32Array }[] {
    const known = this.#cosines.get(layer)
    if (known) return known
    const approved = this.#living
      .filter(({ key }) => this.#vocabulary[key]?.status === 'approved')
      .map(({ key, form, vector }) => ({ key, form, cosines: cosinesTo(layer.centroids, vector, 0, layer.dims) }))
    this.#cosines.set(layer, approved)
    return approved
  }

  /** @returns the key of the tag that the proposal stands for; undefined when it may not come back */
  take(proposal: Proposal): number | undefined {
    const form = tagForm(proposal.label)
    const known = this.#byForm.has(form) ? this.#byForm.get(form) : this.#byForm.get(compact(form))
    if (known !== undefined) return known ?? undefined
    const vector = this.#vectorOf(proposal.label)
    if (this.#rejected.some((other) => dot(vector, 0, other, 0, vector.length) >= SAME_MEANING)) return undefined
    const same = this.#nearest(form, vector)
    if (same !== undefined) {
      this.merged.push({ label: proposal.label, form, into: this.reference(same) })
      this.#remember(form, same)
      return same
    }
    const key = this.#vocabulary.length + this.newTags.length
    this.newTags.push({ label: proposal.label, form, source: proposal.method })
    this.#living.push({ key, form, vector })
    this.#remember(form, key)
    return key
  }

  #nearest(form: string, vector: Float32Array): number | undefined {
    let best: number | undefined
    let most = SAME_MEANING
    for (const { key, form: otherForm, vector: other } of this.#living) {
      if (isPart(form, otherForm) || isPart(otherForm, form)) continue
      const cosine = dot(vector, 0, other, 0, vector.length)
      if (cosine >= most && (best === undefined || cosine > most)) {
        best = key
        most = cosine
      }
    }
    return best
  }

  /** Under its form and without spaces: "data base" is "database". */
  #remember(form: string, key: number | null): void {
    this.#byForm.set(form, key)
    if (!this.#byForm.has(compact(form))) this.#byForm.set(compact(form), key)
  }
}

/** Of "sailing" and "sailing for beginners" one is broader, however near they are. */
const isPart = (part: string, whole: string): boolean =>
  whole.length > part.length && part.split(' ').every((word) => whole.split(' ').includes(word))

const compact = (form: string): string => form.replaceAll(' ', '')
