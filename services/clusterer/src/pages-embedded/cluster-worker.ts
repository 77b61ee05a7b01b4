import { nearestRows, openProducts, type ProductOptions } from '@tagloom/inference'
import { type ClusterLayer, type ClusterOptions, clusterPages, cosineSilhouette } from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit'

export interface ClusterInput {
  /** [pages × dims] row-major float32 */
  readonly vectors: Float32Array
  readonly dims: number
  readonly options: ClusterOptions
  readonly products: ProductOptions
  readonly seed: number
}

export interface ClusterOutput {
  readonly layers: readonly ClusterLayer[]
  readonly chosen: number
  readonly criterion: string
  readonly minClusterSize: number
  /** Of the chosen layer, on the embeddings; undefined with fewer than two clusters */
  readonly silhouetteCosine: number | undefined
}

/** From vectors to layers, in a thread of its own; reports the share done. */
answerParent<ClusterInput, ClusterOutput, number>(async ({ vectors, dims, options, products: how, seed }, report) => {
  const products = await openProducts(how)
  try {
    const found = await clusterPages(vectors, dims, options, {
      nearest: (rows, width, k) => nearestRows(products, rows, width, k, { seed }),
      progress: report,
    })
    const layer = found.layers[found.chosen]
    return {
      result: {
        layers: found.layers,
        chosen: found.chosen,
        criterion: found.criterion,
        minClusterSize: found.minClusterSize,
        silhouetteCosine: layer && cosineSilhouette(found.vectors, dims, layer.labels, layer.clusters),
      },
    }
  } finally {
    await products.close()
  }
})
