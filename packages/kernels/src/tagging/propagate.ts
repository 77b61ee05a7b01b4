import { dot, sigmoid } from './cluster-confidence.ts'

/*
 * From clusters' tags to pages' tags. A page has a tag by two ways: it is a member of a cluster that has it, or it is near to the tag
 * itself. Both become one confidence. Memberships of several layers add up as independent evidence (noisy or).
 */

export interface TagsOfClusters {
  /** By cluster number: its tags as rows of `tagVectors`, with their confidence */
  readonly byCluster: ReadonlyMap<number, readonly { readonly tag: number; readonly confidence: number }[]>
  /** [tags × dims], unit length */
  readonly tagVectors: Float32Array
  readonly dims: number
  /** Mean and standard deviation of each tag's cosine to pages of the wiki, [tags] each: see tagBackground */
  readonly background: TagBackground
}

export interface TagBackground {
  readonly mean: Float32Array
  readonly spread: Float32Array
}

export interface PageToTag {
  /** Row in the page vectors, or -1 for a page without text */
  readonly row: number
  readonly memberships: readonly { readonly cluster: number; readonly strength: number }[]
  /** Tags that no job may put on this page, as rows of `tagVectors`; true: none at all (locked) */
  readonly forbidden: ReadonlySet<number> | true
}

export interface PageTag {
  readonly tag: number
  readonly confidence: number
  readonly origin: 'cluster' | 'similarity'
  /** The cluster that spoke most for it; null when similarity alone did */
  readonly cluster: number | null
}

export interface PropagateOptions {
  readonly threshold: number
  readonly maxTags: number
}

/**
 * Coefficients of the logistic regression of "the page says the tag" on membership and standardised similarity, from 579 Ethereum
 * proposals and 503 package documents; reliability on each when fitted on the other: docs/tagging.md.
 */
const calibration = { bias: -2.9, membership: 3.14, similarity: 0.57, alone: -0.4 } as const
/** A tag of no cluster of the page needs to stand out by this many standard deviations, and this cosine. */
const ALONE_LIFT = 2.5
const ALONE_COSINE = 0.3

/** Confidence of a tag on a page. `membership` 0 to 1, 0 for similarity alone; `lift` in standard deviations of the tag's cosine. */
export function pageTagConfidence(membership: number, lift: number): number {
  const { bias, alone, similarity } = calibration
  const base = bias + similarity * Math.max(-2, Math.min(lift, 5))
  return sigmoid(membership === 0 ? base + alone : base + calibration.membership * membership)
}

export interface TaggedPage {
  readonly tags: readonly PageTag[]
  /** Tags withheld because of what a person decided */
  readonly conflicts: number
}

/** The tags of one page, surest first. @param vectors page vectors [pages × dims], unit length or zero */
export function tagsOfPage(
  page: PageToTag,
  vectors: Float32Array,
  of: TagsOfClusters,
  options: PropagateOptions,
): TaggedPage {
  const scored = new Map<number, { missing: number; cluster: number; most: number }>()
  for (const { cluster, strength } of page.memberships) {
    for (const { tag, confidence } of of.byCluster.get(cluster) ?? []) {
      const part = strength * confidence
      const known = scored.get(tag)
      if (!known) scored.set(tag, { missing: 1 - part, cluster, most: part })
      else {
        known.missing *= 1 - part
        if (part > known.most) {
          known.most = part
          known.cluster = cluster
        }
      }
    }
  }
  const found: PageTag[] = []
  const tags = of.background.mean.length
  for (let tag = 0; tag < tags; tag++) {
    const from = scored.get(tag)
    const cosine = page.row < 0 ? 0 : dot(vectors, page.row * of.dims, of.tagVectors, tag * of.dims, of.dims)
    const lift = page.row < 0 ? 0 : (cosine - of.background.mean[tag]!) / Math.max(0.02, of.background.spread[tag]!)
    if (!from && (lift < ALONE_LIFT || cosine < ALONE_COSINE)) continue
    const confidence = pageTagConfidence(from ? 1 - from.missing : 0, lift)
    if (confidence < options.threshold) continue
    found.push({ tag, confidence, origin: from ? 'cluster' : 'similarity', cluster: from?.cluster ?? null })
  }
  found.sort((a, b) => b.confidence - a.confidence || a.tag - b.tag)
  const { forbidden } = page
  const wanted = found.slice(0, options.maxTags)
  if (forbidden === true) return { tags: [], conflicts: wanted.length }
  const allowed = found.filter(({ tag }) => !forbidden.has(tag))
  return { tags: allowed.slice(0, options.maxTags), conflicts: wanted.filter(({ tag }) => forbidden.has(tag)).length }
}

/**
 * How near each tag is to pages at large: what a similarity must be measured against, since labels of one model differ much in how near
 * they are to everything. @param sample page vectors [pages × dims]; zero vectors are left out
 */
export function tagBackground(tagVectors: Float32Array, sample: Float32Array, dims: number): TagBackground {
  const tags = tagVectors.length / dims
  const mean = new Float32Array(tags)
  const spread = new Float32Array(tags)
  const rows: number[] = []
  for (let row = 0; row < sample.length / dims; row++)
    if (dot(sample, row * dims, sample, row * dims, dims) > 0) rows.push(row)
  for (let tag = 0; tag < tags; tag++) {
    let sum = 0
    let squares = 0
    for (const row of rows) {
      const cosine = dot(tagVectors, tag * dims, sample, row * dims, dims)
      sum += cosine
      squares += cosine * cosine
    }
    const average = rows.length === 0 ? 0 : sum / rows.length
    mean[tag] = average
    spread[tag] = rows.length === 0 ? 1 : Math.sqrt(Math.max(0, squares / rows.length - average * average))
  }
  return { mean, spread }
}
