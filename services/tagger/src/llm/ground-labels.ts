import type { Proposal } from '@tagloom/kernels'

/** Below this neither the words nor the meaning of the cluster speak for a label. */
const LEAST = 0.12
/** That a model chose a label counts for this much of what is missing to certainty. */
const CHOSEN = 0.35

/**
 * Proposals from labels of a language model: those that the cluster's own pages do not support at all are dropped, wherever they came
 * from (invented, or asked for by a text in a page).
 * @param evidenceOf confidence of a label for the cluster by its words and its meaning
 */
export function groundLabels(labels: readonly string[], evidenceOf: (label: string) => number): Proposal[] {
  return labels.flatMap((label) => {
    const own = evidenceOf(label)
    return own < LEAST ? [] : [{ label, confidence: own + (1 - own) * CHOSEN, method: 'llm' as const }]
  })
}
