import type { Proposal } from '@tagloom/kernels'

/** That a model chose a label counts for this much of what is missing to certainty. */
const CHOSEN = 0.35

/** So many of a cluster's pages, and so great a share, say what a few pages that somebody wrote for that do not. */
const SAID = { pages: 4, share: 1 / 3 } as const

/** Deviations by which a label's cosine to the cluster lies above its mean over the layer, where the layer has clusters enough for it. */
const LEAST_LIFT = 1.25

export interface Grounding {
  /** By the cluster's words and meaning, 0 to 1 */
  readonly confidence: number
  /** Share of the cluster's pages that have the label in their text */
  readonly coverage: number
  /** Cosine to the cluster's centroid */
  readonly similarity: number
  /** The same in deviations above the label's mean over the layer's clusters */
  readonly lift: number
  /** Least lift of its words that few of the pages say which the model was shown (see wordsOfFew); undefined where many say each */
  readonly liftOfFew: number | undefined
}

export interface Ground {
  /** Of the cluster */
  readonly pages: number
  /** Of its layer */
  readonly clusters: number
  /** Lower quartile of the cosines of the cluster's own keyphrases to its centroid; undefined where it has none */
  readonly leastSimilarity: number | undefined
}

/**
 * Proposals from labels of a language model. A label needs support of the cluster's own pages, whoever wrote some of them: a third of them,
 * and four, say it; or it means something (a label that the embedding model has no words for has a cosine of 0), is as near as the farther
 * ones of the cluster's keyphrases, and stands out from the other clusters. So must each of its words that only one or two of the shown
 * pages say: what a page asks for comes with words of its own. What has no support is dropped.
 */
export function groundLabels(
  labels: readonly string[],
  ground: Ground,
  groundingOf: (label: string) => Grounding,
): Proposal[] {
  return labels.flatMap((label) => {
    const grounding = groundingOf(label)
    if (!isSaid(grounding, ground) && !isMeant(grounding, ground)) return []
    const { confidence } = grounding
    return [{ label, confidence: confidence + (1 - confidence) * CHOSEN, method: 'llm' as const }]
  })
}

const isSaid = ({ coverage }: Grounding, { pages }: Ground): boolean =>
  coverage >= SAID.share && Math.round(coverage * pages) >= Math.min(SAID.pages, pages)

function isMeant(of: Grounding, { leastSimilarity, clusters }: Ground): boolean {
  const { similarity, lift, liftOfFew = LEAST_LIFT, confidence } = of
  // Among n clusters none lies further above the mean than √(n − 1) deviations.
  if (similarity <= 0 || lift < Math.min(LEAST_LIFT, Math.sqrt(clusters - 1) / 2) || liftOfFew < LEAST_LIFT)
    return false
  return leastSimilarity === undefined ? confidence >= FITS : similarity >= leastSimilarity
}

/** With nothing of the cluster's own to compare with, a label must fit it as a tag of the vocabulary does. */
const FITS = 0.5
