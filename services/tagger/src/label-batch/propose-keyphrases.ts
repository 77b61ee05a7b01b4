import { setImmediate } from 'node:timers/promises'
import type { StoredCluster } from '@tagloom/database'
import { labelConfidence, type MeaningCosines, type Proposal, rankPhrases } from '@tagloom/kernels'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'
import type { Asking, LabelVectors } from '../label-vectors.ts'
import { type LayerCentroids, layerCentroids } from './layer-centroids.ts'

export interface ToPropose {
  /** All clusters of the job: a label must stand out from the others of its layer */
  readonly clusters: readonly StoredCluster[]
  readonly phrases: ReadonlyMap<number, ClusterPhrases>
  /** Proposals for each cluster, at most: more than it gets, since some may be rejected */
  readonly limit: number
}

/** Proposals from the texts of each of these clusters, best first. */
export async function proposeKeyphrases(
  clusterNos: readonly number[],
  of: ToPropose,
  vectors: LabelVectors,
  asking: Asking,
): Promise<Map<number, Proposal[]>> {
  const labels = clusterNos.flatMap((no) => (of.phrases.get(no)?.phrases ?? []).map(({ label }) => label))
  const vectorOf = await vectors.of(labels, asking)
  const meaning = await vectors.meaning()
  const layers = layerCentroids(of.clusters)
  const layerOf = new Map(of.clusters.map(({ no, layer }) => [no, layers.get(layer)!]))
  const proposals = new Map<number, Proposal[]>()
  for (const no of clusterNos) {
    proposals.set(no, propose(no, { ...of, meaning }, layerOf.get(no)!, vectorOf))
    // One cluster takes milliseconds; between two the event loop is free.
    await setImmediate()
    asking.signal?.throwIfAborted()
  }
  return proposals
}

function propose(
  no: number,
  of: ToPropose & { readonly meaning: MeaningCosines },
  layer: LayerCentroids,
  vectorOf: (label: string) => Float32Array,
): Proposal[] {
  const keyphrases = of.phrases.get(no)?.phrases ?? []
  if (keyphrases.length === 0) return []
  const dims = layer.centroids.length / layer.rowOf.size
  const vectors = new Float32Array(keyphrases.length * dims)
  keyphrases.forEach(({ label }, row) => {
    vectors.set(vectorOf(label), row * dims)
  })
  const cluster = layer.rowOf.get(no)!
  const { meaning, limit } = of
  return rankPhrases({ keyphrases, vectors, centroids: layer.centroids, cluster, dims, meaning, limit }).map(
    (phrase) => ({ label: phrase.label, confidence: labelConfidence(phrase), method: 'keyphrases' }),
  )
}
