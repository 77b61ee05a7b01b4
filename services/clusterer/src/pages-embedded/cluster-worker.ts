import { type Database, type JobVectors, openDatabase, readExternalId, readJobVectors } from '@tagloom/database'
import { openProducts, type ProductOptions, type Products } from '@tagloom/inference'
import {
  agreement,
  type Clustering,
  type ClusterLayer,
  type ClusterOptions,
  clusterPages,
  type Evaluation,
  evaluateClustering,
  type FoundLayer,
  VectorError,
} from '@tagloom/kernels'
import { answerParent, type Native } from '@tagloom/service-kit/worker'
import { matchPreviousRun, type RunLineages } from './match-previous-run.ts'
import { type PreviousRun, readPreviousLayers, readPreviousRun } from './read-previous-run.ts'

export interface ClusterInput {
  readonly databaseUrl: string
  readonly jobId: string
  readonly model: string
  readonly previousJobId: string | null
  /** Whether to go on from the topics of that run */
  readonly keepTopics: boolean
  readonly options: ClusterOptions
  readonly products: ProductOptions
  readonly seed: number
  /** Other seeds to cluster with again, only to see how well the results agree */
  readonly otherSeeds: number
}

/** What the thread tells: first what it has read, then the share of the work that is done. */
export type Told = { readonly pages: number; readonly dims: number } | number

export interface Clustered {
  /** Pages with a vector, in the order of `labels` */
  readonly pageIds: Float64Array
  readonly dims: number
  readonly layers: readonly ClusterLayer[]
  readonly chosen: number
  readonly criterion: string
  readonly minClusterSize: number
  /** What the wiki's next run goes on from */
  readonly found: readonly FoundLayer[]
  readonly evaluation: Evaluation
  /** null where no other seed was to be tried */
  readonly seedStability: SeedStability | null
  readonly lineages: RunLineages
  /** From vectors to layers, without the evaluation */
  readonly seconds: number
}

/** A vector that cannot be used, with the page's id where one is at fault. */
export interface Fault {
  readonly fault: string
  readonly page: string | undefined
}

interface Read {
  readonly pages: JobVectors
  readonly previous: PreviousRun | undefined
  readonly previousLayers: readonly FoundLayer[]
}

/**
 * From the stored vectors to layers and lineages, in a thread of its own. It reads for itself: what reading 50,000 vectors leaves behind held
 * the service's event loop up for 300 ms at a time. Ended with the thread: the connection, the memory, and the work at any moment.
 */
answerParent<ClusterInput, Clustered | Fault, Told>(async (input, report, native) => {
  const db = openDatabase({ url: input.databaseUrl, max: 1, applicationName: 'tagloom-clusterer-worker' })
  const products = gated(await native(() => openProducts(input.products)), native)
  try {
    const read = await readAll(db, input)
    report({ pages: read.pages.pageIds.length, dims: read.pages.dims })
    return await faultOr(db, read, () => cluster(input, read, products, report))
  } finally {
    await products.close()
    await db.close()
  }
})

async function readAll(db: Database, { jobId, model, previousJobId, keepTopics }: ClusterInput): Promise<Read> {
  const pages = await readJobVectors(db, jobId, model)
  if (previousJobId === null) return { pages, previous: undefined, previousLayers: [] }
  const previous = await readPreviousRun(db, previousJobId, pages.dims)
  const { pageIds } = pages
  const previousLayers = keepTopics ? await readPreviousLayers(db, { jobId, previousJobId, pageIds }) : []
  return { pages, previous, previousLayers }
}

async function faultOr(db: Database, { pages }: Read, work: () => Promise<Clustered>) {
  try {
    const result = await work()
    return { result, transfer: buffersOf(result) }
  } catch (error) {
    if (!(error instanceof VectorError)) throw error
    const page = error.row === undefined ? undefined : await readExternalId(db, pages.pageIds[error.row]!)
    return { result: { fault: error.finding, page } }
  }
}

/** Moved to the service instead of copied. */
const buffersOf = ({ layers, found }: Clustered): ArrayBuffer[] => [
  ...new Set(
    [...layers, ...found].flatMap((layer) =>
      Object.values(layer).flatMap((value) => (ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : [])),
    ),
  ),
]

function gated(products: Products, native: Native): Products {
  return {
    device: products.device,
    multiply: (...args) => native(() => products.multiply(...args)),
    close: () => native(() => products.close()),
  }
}

/** Share of the work of one clustering that ends with its layers; judging them is the rest. */
const shareOfLayers = 0.8

async function cluster(
  input: ClusterInput,
  { pages, previous, previousLayers }: Read,
  products: Products,
  report: (share: number) => void,
): Promise<Clustered> {
  const { seed, otherSeeds } = input
  const { pageIds, goldLabels } = pages
  const dims = Math.max(1, pages.dims)
  const carried = previousLayers.length > 0
  const work = 1 + shareOfLayers * (otherSeeds + (carried && otherSeeds > 0 ? 1 : 0))
  const began = performance.now()
  const layersBy = (nth: number, done: number, from: readonly FoundLayer[] = []) =>
    layersOf(
      { vectors: pages.vectors, dims, options: { ...input.options, seed: seed + nth, previous: from } },
      products,
      (share) => report((done + shareOfLayers * share) / work),
    )
  const found = await layersBy(0, 0, previousLayers)
  const seconds = (performance.now() - began) / 1000
  const evaluation = await evaluateClustering(found, dims, products.multiply, goldLabels)
  const seedStability = await stabilityOf(otherSeeds, async (nth) =>
    nth === 0 && !carried ? found : layersBy(nth, 1 + shareOfLayers * (carried ? nth : nth - 1)),
  )
  const lineages = matchPreviousRun(found, pageIds, dims, input.jobId, previous)
  report(1)
  const { layers, chosen, criterion, minClusterSize } = found
  const result = { pageIds, dims, layers, chosen, criterion, minClusterSize, found: found.found }
  return { ...result, evaluation, seedStability, lineages, seconds }
}

interface LayersInput {
  readonly vectors: Float32Array
  readonly dims: number
  readonly options: ClusterOptions
}

const layersOf = (
  { vectors, dims, options }: LayersInput,
  products: Products,
  progress: (share: number) => void,
): Promise<Clustering> => clusterPages(vectors, dims, options, { multiply: products.multiply, progress })

export interface SeedStability {
  readonly seeds: number
  readonly mean_ari: number
  readonly least_ari: number
}

/**
 * Adjusted Rand index of the chosen layer with that of each other seed, all found anew (from the run before they would agree in any case);
 * pages outside are one more cluster.
 * @param layersBy the nth other seed, and by the job's own for 0
 */
async function stabilityOf(
  seeds: number,
  layersBy: (nth: number) => Promise<Clustering>,
): Promise<SeedStability | null> {
  if (seeds === 0) return null
  const labels = chosenLabels(await layersBy(0))
  const agreements: number[] = []
  for (let nth = 1; nth <= seeds; nth++) agreements.push(agreement(labels, chosenLabels(await layersBy(nth))).ari)
  const mean = agreements.reduce((sum, ari) => sum + ari, 0) / seeds
  return { seeds, mean_ari: mean, least_ari: Math.min(...agreements) }
}

const chosenLabels = ({ layers, chosen, pages }: Clustering): Int32Array =>
  layers[chosen]?.labels ?? new Int32Array(pages).fill(-1)
