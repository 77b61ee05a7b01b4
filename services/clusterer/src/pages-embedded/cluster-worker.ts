import { openProducts, type ProductOptions } from '@tagloom/inference'
import {
  type ClusterLayer,
  type ClusterOptions,
  clusterPages,
  type Evaluation,
  evaluateClustering,
  VectorError,
} from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit/worker'

export interface ClusterInput {
  /** [pages × dims] row-major float32 */
  readonly vectors: Float32Array
  readonly dims: number
  readonly options: ClusterOptions
  readonly products: ProductOptions
  readonly seed: number
  /** Known class of each page, null where it is not known */
  readonly goldLabels: readonly (string | null)[]
}

export interface Clustered {
  readonly layers: readonly ClusterLayer[]
  readonly chosen: number
  readonly criterion: string
  readonly minClusterSize: number
  readonly evaluation: Evaluation
  /** From vectors to layers, without the evaluation */
  readonly seconds: number
}

/** A page whose vector cannot be used: errors lose their fields between threads, so it is a result. */
export interface Fault {
  readonly fault: string
  readonly row: number | undefined
}

/** From vectors to layers, in a thread of its own, which takes its memory with it; reports the share done. */
answerParent<ClusterInput, Clustered | Fault, number>(async (input, report) => {
  const products = await openProducts(input.products)
  try {
    return { result: await cluster(input, products, report) }
  } catch (error) {
    if (!(error instanceof VectorError)) throw error
    return { result: { fault: error.message, row: error.row } }
  } finally {
    await products.close()
  }
})

async function cluster(
  { vectors, dims, options, seed, goldLabels }: ClusterInput,
  products: Awaited<ReturnType<typeof openProducts>>,
  report: (share: number) => void,
): Promise<Clustered> {
  const began = performance.now()
  const found = await clusterPages(
    vectors,
    dims,
    { ...options, seed },
    {
      multiply: products.multiply,
      progress: (share) => report(0.8 * share),
    },
  )
  const seconds = (performance.now() - began) / 1000
  const evaluation = await evaluateClustering(found, dims, products.multiply, goldLabels)
  report(1)
  const { layers, chosen, criterion, minClusterSize } = found
  return { layers, chosen, criterion, minClusterSize, evaluation, seconds }
}
