import type { StoredCluster, StoredTag } from '@tagloom/database'
import type { Resolution } from '@tagloom/kernels'
import type { JobMetrics } from '@tagloom/service-kit'

interface Resolved {
  readonly resolution: Resolution
  readonly clusters: readonly StoredCluster[]
  readonly vocabulary: readonly StoredTag[]
  readonly vectorOf: (label: string) => Float32Array
}

/** Two tags nearer than this look like duplicates to a person; those nearer than the merging threshold are one tag already. */
const LOOKS_ALIKE = 0.85

/** The figures of the record that resolving knows; what the vocabulary did goes to the details. */
export function measureResolution(metrics: JobMetrics, of: Resolved): void {
  const { clusterTags, newTags, merged } = of.resolution
  metrics.increment('clusters_labelled', of.clusters.length)
  metrics.increment('cluster_tags', clusterTags.length)
  metrics.increment('tags_created', newTags.length)
  const best = new Map(clusterTags.filter(({ rank }) => rank === 0).map((tag) => [tag.clusterNo, tag.confidence]))
  for (const { no } of of.clusters) metrics.observe('cluster_confidence', best.get(no) ?? 0)
  const uses = new Map<string, number>()
  for (const { tag } of clusterTags) uses.set(labelOf(tag, of), (uses.get(labelOf(tag, of)) ?? 0) + 1)
  const existing = clusterTags.filter(({ tag }) => 'id' in tag).length
  metrics.setDetail('vocabulary', {
    vocabulary_reuse_rate: clusterTags.length === 0 ? null : existing / clusterTags.length,
    new_tags: newTags.length,
    merged_tags: merged.length,
    singleton_tags: [...uses.values()].filter((count) => count === 1).length,
    duplicate_pairs_left: alike([...uses.keys()], of.vectorOf),
    clusters_without_tags: of.clusters.length - best.size,
  })
}

function labelOf(tag: Resolution['clusterTags'][number]['tag'], of: Resolved): string {
  if ('newTag' in tag) return of.resolution.newTags[tag.newTag]!.label
  return of.vocabulary.find(({ id }) => id === tag.id)!.label
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
