import type { Proposal } from '@tagloom/kernels'

/** That a model chose a label counts for this much of what is missing to certainty. */
const CHOSEN = 0.35

export interface Grounding {
  /** By the cluster's words and meaning, 0 to 1 */
  readonly confidence: number
  /** Share of the cluster's pages that have the label in their text */
  readonly coverage: number
  /** Cosine to the cluster's centroid */
  readonly similarity: number
}

/**
 * Proposals from labels of a language model. A label needs support of the cluster's own pages: its words in them, or a meaning at least
 * as near as that of the farther ones of its keyphrases. What has neither is dropped, wherever it came from (invented, or asked for by a text
 * in a page).
 * @param leastSimilarity lower quartile of the cosines of the cluster's keyphrases to its centroid
 */
export function groundLabels(
  labels: readonly string[],
  leastSimilarity: number,
  groundingOf: (label: string) => Grounding,
): Proposal[] {
  return labels.flatMap((label) => {
    const { confidence, coverage, similarity } = groundingOf(label)
    if (coverage === 0 && similarity < leastSimilarity) return []
    return [{ label, confidence: confidence + (1 - confidence) * CHOSEN, method: 'llm' as const }]
  })
}
