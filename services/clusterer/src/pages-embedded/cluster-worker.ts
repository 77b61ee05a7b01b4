import { nearestRows, openProducts, type ProductOptions } from '@tagloom/inference'
import {
  agreement,
  type Clustering,
  type ClusterLayer,
  type ClusterOptions,
  clusterPages,
  type Evaluation,
  evaluateClustering,
  VectorError,
} from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit/worker'
import { matchPreviousRun, type RunLineages } from './match-previous-run.ts'
import type { PreviousRun } from './read-previous-run.ts'

export interface ClusterInput {
  /** [pages × dims] row-major float32 */
  readonly vectors: Float32Array
  readonly dims: number
  readonly options: ClusterOptions
  readonly products: ProductOptions
  readonly seed: number
  /** Other seeds to cluster with again, only to see how well the results agree */
  readonly otherSeeds: number
  /** Row by row */
  readonly pageIds: Float64Array
  readonly jobId: string
  readonly previous: PreviousRun | undefined
  /** Known class of each page, null where it is not known */
  readonly goldLabels: readonly (string | null)[]
}

export interface Clustered {
  readonly layers: readonly ClusterLayer[]
  readonly chosen: number
  readonly criterion: string
  readonly minClusterSize: number
  readonly evaluation: Evaluation
  /** null where no other seed was to be tried */
  readonly seedStability: SeedStability | null
  readonly lineages: RunLineages
  /** From vectors to layers, without the evaluation */
  readonly seconds: number
}

/** A page whose vector cannot be used: errors lose their fields between threads, so it is a result. */
export interface Fault {
  readonly fault: string
  readonly row: number | undefined
}

/** From vectors to layers and lineages, in a thread of its own, which takes its memory with it; reports the share done. */
answerParent<ClusterInput, Clustered | Fault, number>(async (input, report) => {
  const products = await openProducts(input.products)
  try {
    return { result: await cluster(input, products, report) }
  } catch (error) {
    if (!(error instanceof VectorError)) throw error
    return { result: { fault: error.finding, row: error.row } }
  } finally {
    await products.close()
  }
})

type Products = Awaited<ReturnType<typeof openProducts>>

/** Share of the steps of finding layers that `clusterPages` counts for the neighbours */
const shareOfNeighbours = 0.4
/** Share of the work of one clustering that ends with its layers; judging them is the rest. */
const shareOfLayers = 0.8

async function cluster(input: ClusterInput, products: Products, report: (share: number) => void): Promise<Clustered> {
  const { dims, otherSeeds, goldLabels } = input
  const work = 1 + shareOfLayers * otherSeeds
  const began = performance.now()
  const found = await layersOf(input, input.seed, products, (share) => report((shareOfLayers * share) / work))
  const seconds = (performance.now() - began) / 1000
  const evaluation = await evaluateClustering(found, dims, products.multiply, goldLabels)
  report(1 / work)
  const seedStability = await stabilityOf(found, otherSeeds, (nth) =>
    layersOf(input, input.seed + nth, products, (share) => report((1 + shareOfLayers * (nth - 1 + share)) / work)),
  )
  const lineages = matchPreviousRun(found, input.pageIds, dims, input.jobId, input.previous)
  report(1)
  const { layers, chosen, criterion, minClusterSize } = found
  return { layers, chosen, criterion, minClusterSize, evaluation, seedStability, lineages, seconds }
}

const layersOf = (
  { vectors, dims, options }: ClusterInput,
  seed: number,
  products: Products,
  progress: (share: number) => void,
): Promise<Clustering> =>
  clusterPages(vectors, dims, options, {
    nearest: (rows, width, k) =>
      nearestRows(products, rows, width, k, { seed, progress: (share) => progress(shareOfNeighbours * share) }),
    progress,
  })

export interface SeedStability {
  readonly seeds: number
  readonly mean_ari: number
  readonly least_ari: number
}

/** Adjusted Rand index of the chosen layer with that of each other seed; pages outside are one more cluster. */
async function stabilityOf(
  found: Clustering,
  seeds: number,
  again: (nth: number) => Promise<Clustering>,
): Promise<SeedStability | null> {
  if (seeds === 0) return null
  const labels = chosenLabels(found)
  const agreements: number[] = []
  for (let nth = 1; nth <= seeds; nth++) agreements.push(agreement(labels, chosenLabels(await again(nth))).ari)
  const mean = agreements.reduce((sum, ari) => sum + ari, 0) / seeds
  return { seeds, mean_ari: mean, least_ari: Math.min(...agreements) }
}

const chosenLabels = ({ layers, chosen, pages }: Clustering): Int32Array =>
  layers[chosen]?.labels ?? new Int32Array(pages).fill(-1)
