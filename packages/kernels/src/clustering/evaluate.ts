import type { Multiply } from '../multiply.ts'
import { agreement } from './agreement.ts'
import { leftOutShare } from './assign-pages.ts'
import type { Clustering } from './cluster-pages.ts'
import { type Silhouette, silhouette } from './silhouette.ts'
import { walkSpace } from './walk-space.ts'

export type Evaluation = {
  /** In the space in which the clusters are formed (walk-space.ts) */
  silhouette: Silhouette
  /** On the embeddings */
  silhouetteCosine: Silhouette
  /** Clusters of the chosen layer by pages: [from, to) in powers of two */
  sizeHistogram: { from: number; to: number; clusters: number }[]
  /** Mean similarity of a page to its neighbours, over the pages in clusters and over those outside */
  density: { inside: number | null; outside: number | null }
  /** Share of the pages that the chosen layer would not take if they were new (assign-pages.ts); 1 without clusters */
  leftOutShare: number
  /** Against known classes of the pages, where there are any; pages outside clusters count as one more cluster */
  gold: { pages: number; ami: number; ari: number; purity: number } | null
}

/** Judges the chosen layer. `goldLabels`: the known class of each page, null where it is not known. */
export async function evaluateClustering(
  clustering: Clustering,
  dims: number,
  multiply: Multiply,
  goldLabels?: readonly (string | null)[],
): Promise<Evaluation> {
  const layer = clustering.layers[clustering.chosen]
  if (!layer) {
    const none = { score: null, standardError: 0 }
    const density = { inside: null, outside: meanNearness(clustering, () => true) }
    const gold = goldLabels ? compareWithGold(new Int32Array(clustering.pages).fill(-1), goldLabels) : null
    return { silhouette: none, silhouetteCosine: none, sizeHistogram: [], density, leftOutShare: 1, gold }
  }
  const space = await walkSpace(clustering.vectors, dims, clustering.graph, clustering.distinctOf, multiply)
  return {
    silhouette: await silhouette(space.vectors, space.dims, layer.labels, layer.clusters, multiply),
    silhouetteCosine: await silhouette(clustering.vectors, dims, layer.labels, layer.clusters, multiply),
    sizeHistogram: sizeHistogram(layer.sizes),
    density: {
      inside: meanNearness(clustering, (page) => layer.labels[page]! >= 0),
      outside: meanNearness(clustering, (page) => layer.labels[page]! < 0),
    },
    leftOutShare: await leftOutShare(clustering.vectors, dims, layer, multiply),
    gold: goldLabels ? compareWithGold(layer.labels, goldLabels) : null,
  }
}

function sizeHistogram(sizes: Int32Array): Evaluation['sizeHistogram'] {
  const counts = new Map<number, number>()
  for (const size of sizes) {
    const power = Math.floor(Math.log2(size))
    counts.set(power, (counts.get(power) ?? 0) + 1)
  }
  const powers = [...counts].sort(([a], [b]) => a - b)
  return powers.map(([power, clusters]) => ({ from: 2 ** power, to: 2 ** (power + 1), clusters }))
}

function meanNearness({ neighbours, distinctOf }: Clustering, counts: (page: number) => boolean): number | null {
  const { k, indices, similarities } = neighbours
  let sum = 0
  let number = 0
  for (let page = 0; page < distinctOf.length; page++) {
    if (!counts(page)) continue
    const first = distinctOf[page]! * k
    for (let at = first; at < first + k && indices[at]! >= 0; at++, number++) sum += similarities[at]!
  }
  return number === 0 ? null : sum / number
}

function compareWithGold(labels: Int32Array, goldLabels: readonly (string | null)[]): Evaluation['gold'] {
  const known = [...goldLabels.keys()].filter((page) => goldLabels[page] !== null)
  if (known.length === 0) return null
  const numbers = new Map<string, number>()
  for (const page of known) numbers.set(goldLabels[page]!, numbers.get(goldLabels[page]!) ?? numbers.size)
  const truth = Int32Array.from(known, (page) => numbers.get(goldLabels[page]!)!)
  const found = Int32Array.from(known, (page) => labels[page]!)
  return { pages: known.length, ...agreement(truth, found) }
}
