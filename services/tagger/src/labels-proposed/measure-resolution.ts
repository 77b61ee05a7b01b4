import type { StoredTag } from '@tagloom/database'
import type { JobMetrics } from '@tagloom/service-kit'
import type { Resolved } from './resolve-worker.ts'

/**
 * The figures of the record that resolving knows; what the vocabulary did goes to the details. Reuse is the share of the clusters' tags that
 * people approved: what an earlier run proposed is in the vocabulary, but of nobody's choice.
 */
export function measureResolution(metrics: JobMetrics, resolved: Resolved, vocabulary: readonly StoredTag[]): void {
  const { clusterNos } = resolved
  const { clusterTags, newTags, merged, joined } = resolved.resolution
  metrics.increment('clusters_labelled', clusterNos.length)
  metrics.increment('cluster_tags', clusterTags.length)
  metrics.increment('tags_created', newTags.length)
  const best = new Map(clusterTags.filter(({ rank }) => rank === 0).map((tag) => [tag.clusterNo, tag.confidence]))
  for (const no of clusterNos) metrics.observe('cluster_confidence', best.get(no) ?? 0)
  const uses = new Map<string, number>()
  for (const { tag } of clusterTags) {
    const key = 'id' in tag ? `${tag.id}` : `new ${tag.newTag}`
    uses.set(key, (uses.get(key) ?? 0) + 1)
  }
  const approved = new Set(vocabulary.flatMap(({ id, status }) => (status === 'approved' ? [id] : [])))
  const fromVocabulary = clusterTags.filter(({ tag }) => 'id' in tag && approved.has(tag.id)).length
  metrics.setDetail('vocabulary', {
    vocabulary_reuse_rate: clusterTags.length === 0 ? null : fromVocabulary / clusterTags.length,
    new_tags: newTags.length,
    merged_tags: merged.length + joined.length,
    same_meaning_cosine: resolved.sameMeaningCosine,
    singleton_tags: [...uses.values()].filter((count) => count === 1).length,
    duplicate_pairs_left: resolved.duplicatePairsLeft,
    clusters_without_tags: clusterNos.length - best.size,
  })
}
