import { tagForm } from '@tagloom/contracts'
import type { StoredCluster } from '@tagloom/database'
import {
  bundledCosine,
  bundledCosines,
  cosinesTo,
  type Keyphrase,
  labelConfidence,
  type Proposal,
  standOut,
} from '@tagloom/kernels'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'
import type { Asking, LabelVectors } from '../label-vectors.ts'
import { groundLabels } from '../llm/ground-labels.ts'
import type { PromptPage } from '../llm/prompt.ts'
import { wordsOfFew } from '../llm/words-of-few.ts'
import { cosine } from './cosine.ts'
import type { LayerCentroids } from './layer-centroids.ts'

export interface ClusterToGround {
  readonly cluster: StoredCluster
  readonly layer: LayerCentroids
  readonly phrases: ClusterPhrases | undefined
  /** Proposals from the cluster's texts */
  readonly keyphrases: readonly Proposal[]
  /** What the model was shown of the cluster's pages */
  readonly shown: readonly PromptPage[]
}

/** What many of a cluster's pages say: no few of them put it there. */
const MANY = { pages: 3, share: 0.2 } as const

/** Proposals from a model's labels of a cluster, without those that its pages do not support. */
export async function groundInCluster(
  labels: readonly string[],
  of: ClusterToGround,
  vectors: Pick<LabelVectors, 'of' | 'meaning'>,
  asking: Asking,
): Promise<Proposal[]> {
  const { cluster, layer } = of
  const phrases = of.phrases?.phrases ?? []
  const own = phrases.filter((phrase) => manySay(phrase.coverage, cluster))
  const compared = comparable(of.keyphrases, own)
  const ofFew = wordsOfFew(of.shown, new Set(own.flatMap(({ form }) => form.split(' '))))
  const vectorOf = await vectors.of([...labels, ...labels.flatMap(ofFew), ...compared], asking)
  const meaning = await vectors.meaning()
  const row = layer.rowOf.get(cluster.no)!
  const standingOf = (label: string) => {
    const vector = vectorOf(label)
    return standOut(bundledCosines(cosinesTo(layer.centroids, vector, 0, vector.length), meaning))(row)
  }
  const leastSimilarity = lowerQuartile(
    compared.map((label) => bundledCosine(cosine(vectorOf(label), cluster.centroid), meaning)),
  )
  const ground = { pages: cluster.size, clusters: layer.rowOf.size, leastSimilarity }
  return groundLabels(labels, ground, (label) => {
    const { coverage, precision } = sharesOf(tagForm(label), phrases, of.phrases)
    const standing = standingOf(label)
    const lifts = manySay(coverage, cluster) ? [] : ofFew(label).map((word) => standingOf(word).lift)
    return {
      confidence: labelConfidence({ coverage, precision, ...standing }),
      coverage,
      ...standing,
      liftOfFew: lifts.length > 0 ? Math.min(...lifts) : undefined,
    }
  })
}

const manySay = (coverage: number, { size }: StoredCluster): boolean =>
  coverage >= MANY.share && Math.round(coverage * size) >= Math.min(MANY.pages, size)

/** Keyphrases that a label is held against: those that many pages say, so that a few pages lower no bar; all where there are none. */
function comparable(keyphrases: readonly Proposal[], own: readonly Keyphrase[]): string[] {
  const labels = keyphrases.map(({ label }) => label)
  const ownLabels = new Set(own.map(({ label }) => label))
  const many = labels.filter((label) => ownLabels.has(label))
  return many.length > 0 ? many : labels
}

/** A word that stands in a longer keyphrase is in the texts as often as that. */
function sharesOf(
  form: string,
  phrases: readonly Keyphrase[],
  of: ClusterPhrases | undefined,
): Pick<Keyphrase, 'coverage' | 'precision'> {
  const phrase =
    phrases.find((one) => one.form === form) ?? phrases.find((one) => ` ${one.form} `.includes(` ${form} `))
  if (phrase) return phrase
  const [, coverage = 0, precision = 0] = of?.vocabulary.find(([known]) => known === form) ?? []
  return { coverage, precision }
}

const lowerQuartile = (values: readonly number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[values.length >> 2]
