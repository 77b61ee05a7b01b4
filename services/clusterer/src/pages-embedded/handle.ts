import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  finishStep,
  type JobVectors,
  openStage,
  readJob,
  readJobVectors,
  readMembers,
  readStoredClusters,
  storeClustering,
} from '@tagloom/database'
import type { ProductOptions } from '@tagloom/inference'
import { type HandlerDeps, handleOnce, JobMetrics, runInWorker } from '@tagloom/service-kit'
import type { ClusteringMetrics } from '../metrics.ts'
import type { ClusterInput, ClusterOutput } from './cluster-worker.ts'
import { type Lineages, matchLineages, type PreviousMembership } from './match-lineages.ts'
import { clustersToStore, firstNumbers, membersToStore } from './rows-to-store.ts'

export interface ClusterDeps extends HandlerDeps {
  readonly metrics: ClusteringMetrics
  readonly products: ProductOptions
}

/**
 * Clusters the pages of a job and stores all layers, with their lineages, in one transaction.
 * A second delivery finds the message handled and changes nothing; one that comes meanwhile computes in vain and writes nothing.
 */
export async function handlePagesEmbedded(
  message: Message<typeof events.pagesEmbedded>,
  deps: ClusterDeps,
): Promise<void> {
  const { wiki_id, job_id } = message.data
  const job = await readJob(deps.db, job_id)
  if (job?.status !== 'running') return
  await handleOnce(deps, message, async () => {
    await openStage(deps.db, job_id, 'cluster')
    const sample = new JobMetrics({
      wikiId: wiki_id,
      jobId: job_id,
      service: 'clusterer',
      enabled: deps.config.ENABLE_METRICS,
    })
    sample.startStage('cluster', 0)
    deps.log.event('stage_started', { stage: 'cluster', batches: 1 })
    const pages = await readJobVectors(deps.db, job_id, job.model ?? message.data.model)
    const found = await cluster(message, deps, pages, job.options)
    const before = job.previousJobId ? await readPrevious(deps, job.previousJobId) : []
    const lineages = matchLineages(membershipsOf(found, pages.pageIds), before, job_id)
    const figures = figuresOf(found, pages, message.data.pages)
    measure(sample, found, figures, lineages)
    return async (tx, owe) => {
      await storeClustering(tx, job_id, {
        clusters: clustersToStore(found.layers, found.chosen, pages.dims, lineages.lineages),
        members: membersToStore(found.layers, pages.pageIds),
        figures: { ...figures, criterion: found.criterion, died: lineages.died },
      })
      const progress = await finishStep(tx, job_id, 'cluster')
      owe(...sample.toMessages(deps.context))
      const shown = {
        wiki_id,
        job_id,
        stage: 'cluster' as const,
        done: progress.done,
        total: progress.total,
        unit: 'steps',
      }
      owe(toMessage(events.jobProgressed, shown, deps.context))
      const { clusters, layers, outliers } = figures
      owe(toMessage(events.clustersFormed, { wiki_id, job_id, clusters, layers, outliers }, deps.context))
      report(deps, sample, found, figures)
    }
  })
}

async function cluster(
  message: Message<typeof events.pagesEmbedded>,
  deps: ClusterDeps,
  pages: JobVectors,
  options: { readonly min_cluster_size?: number; readonly target_clusters?: number; readonly seed?: number },
): Promise<ClusterOutput> {
  if (pages.pageIds.length === 0)
    return { layers: [], chosen: 0, criterion: 'no pages', minClusterSize: 0, silhouetteCosine: undefined }
  const { min_cluster_size: minClusterSize, target_clusters: targetClusters, seed = 0 } = options
  deps.log.event('clustering_started', {
    pages: pages.pageIds.length,
    dims: pages.dims,
    min_cluster_size: minClusterSize ?? 0,
  })
  const input: ClusterInput = {
    vectors: pages.vectors.slice(),
    dims: pages.dims,
    options: {
      ...(minClusterSize === undefined ? {} : { minClusterSize }),
      ...(targetClusters === undefined ? {} : { targetClusters }),
    },
    products: deps.products,
    seed,
  }
  const began = performance.now()
  const url = new URL('./cluster-worker.ts', import.meta.url)
  const found = await runInWorker<ClusterOutput, number>(url, {
    input,
    transfer: [input.vectors.buffer as ArrayBuffer],
    signal: message.signal,
  })
  deps.metrics.clustered(pages.pageIds.length, (performance.now() - began) / 1000)
  return found
}

/** Members of the new clusters, in the order of their numbers. */
function membershipsOf({ layers }: ClusterOutput, pageIds: Float64Array) {
  const first = firstNumbers(layers)
  return layers.flatMap((layer, at) => {
    const members: number[][] = Array.from({ length: layer.clusters }, () => [])
    for (let page = 0; page < pageIds.length; page++)
      if (layer.labels[page]! >= 0) members[layer.labels[page]!]!.push(pageIds[page]!)
    return members.map((pages, cluster) => ({ no: first[at]! + cluster, layer: at, pageIds: pages }))
  })
}

async function readPrevious({ db }: ClusterDeps, jobId: string): Promise<PreviousMembership[]> {
  const members = new Map<number, number[]>()
  for await (const some of readMembers(db, jobId)) {
    for (const { clusterNo, pageId } of some) {
      const of = members.get(clusterNo)
      if (of) of.push(pageId)
      else members.set(clusterNo, [pageId])
    }
  }
  const clusters = await readStoredClusters(db, jobId)
  return clusters.map(({ no, layer, lineageId }) => ({ no, layer, lineageId, pageIds: members.get(no) ?? [] }))
}

function figuresOf(found: ClusterOutput, pages: JobVectors, processed: number) {
  const layer = found.layers[found.chosen]
  const clustered = layer ? pages.pageIds.length - layer.outliersAfter : 0
  return {
    clusters: layer?.clusters ?? 0,
    layers: found.layers.length,
    clustered,
    /** Pages without a vector are outside of everything too */
    outliers: Math.max(0, processed - clustered),
    outliers_before_attaching: layer ? layer.outliersBefore + processed - pages.pageIds.length : processed,
    silhouette_cosine: found.silhouetteCosine ?? null,
  }
}

function measure(
  sample: JobMetrics,
  found: ClusterOutput,
  figures: ReturnType<typeof figuresOf>,
  lineages: Lineages,
): void {
  const sizes = found.layers[found.chosen]?.sizes ?? new Int32Array()
  sample.setGauge('cluster_count', figures.clusters)
  sample.setGauge('pages_clustered', figures.clustered)
  sample.setGauge('outlier_count', figures.outliers)
  sample.setGauge('min_cluster_size', sizes.length ? Math.min(...sizes) : 0)
  sample.setGauge('max_cluster_size', sizes.length ? Math.max(...sizes) : 0)
  sample.setGauge('layers', figures.layers)
  sample.setGauge(
    'clusters_matched',
    lineages.lineages.filter((lineage) => lineage.event !== 'born' && lineage.event !== 'split').length,
  )
  if (figures.silhouette_cosine !== null) sample.setGauge('silhouette_cosine', figures.silhouette_cosine)
  for (const size of sizes) sample.observe('cluster_sizes', size)
  sample.endStage()
}

function report(
  deps: ClusterDeps,
  sample: JobMetrics,
  found: ClusterOutput,
  figures: ReturnType<typeof figuresOf>,
): void {
  const { duration_seconds } = sample.toJSON()
  const layer = found.layers[found.chosen]
  const first = firstNumbers(found.layers)[found.chosen] ?? 0
  for (const [cluster, pages] of [...(layer?.sizes ?? [])].entries()) {
    deps.log.event('cluster_created', { cluster_id: first + cluster, layer: found.chosen, pages })
  }
  const { clusters, layers, outliers, silhouette_cosine } = figures
  deps.log.event('clustering_completed', {
    clusters,
    layers,
    outliers,
    silhouette_score: null,
    silhouette_cosine,
    duration_seconds,
  })
  deps.log.event('stage_completed', { stage: 'cluster', batches: 1, duration_seconds })
}
