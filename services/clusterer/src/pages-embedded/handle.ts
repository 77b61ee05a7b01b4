import { type Message, Reject } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  finishStep,
  type Job,
  type JobVectors,
  openStage,
  readClusteringFigures,
  readJob,
  readJobVectors,
  storeClustering,
} from '@tagloom/database'
import type { ProductOptions } from '@tagloom/inference'
import { type HandlerDeps, handleOnce, JobMetrics, runInWorker } from '@tagloom/service-kit'
import type { ClusteringMetrics } from '../metrics.ts'
import type { Clustered, ClusterInput, Fault } from './cluster-worker.ts'
import { type ClusteringFigures, figuresOf, measure } from './figures.ts'
import { matchPreviousRun, readPreviousRun } from './match-previous-run.ts'
import { clustersToStore, firstNumbers, membersToStore } from './rows-to-store.ts'

export interface ClusterDeps extends HandlerDeps {
  readonly metrics: ClusteringMetrics
  readonly products: ProductOptions
}

type Embedded = Message<typeof events.pagesEmbedded>

/**
 * Clusters the pages of a job and stores all layers, with their lineages, in one transaction.
 * A second delivery finds the message handled, or the clusters stored, and changes nothing; one that comes meanwhile computes in vain
 * and writes nothing.
 */
export async function handlePagesEmbedded(message: Embedded, deps: ClusterDeps): Promise<void> {
  const { wiki_id, job_id } = message.data
  const job = await readJob(deps.db, job_id)
  if (job?.status !== 'running' || (await readClusteringFigures(deps.db, job_id))) return
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
    const found = await cluster(message, deps, pages, job)
    const before = job.previousJobId ? await readPreviousRun(deps.db, job.previousJobId, pages.dims) : undefined
    const lineages = matchPreviousRun(found, pages.pageIds, pages.dims, job_id, before)
    const figures = figuresOf(found, pages.pageIds.length, message.data.pages, lineages)
    measure(sample, found, figures)
    return async (tx, owe) => {
      await storeClustering(tx, job_id, {
        clusters: clustersToStore(found.layers, found.chosen, pages.dims, lineages.lineages),
        members: membersToStore(found.layers, pages.pageIds),
        figures,
      })
      const { done, total } = await finishStep(tx, job_id, 'cluster')
      sample.endStage()
      owe(...sample.toMessages(deps.context))
      owe(toMessage(events.jobProgressed, { ...stageOf(message), done, total, unit: 'steps' }, deps.context))
      const { clusters, layers, outliers } = figures
      owe(toMessage(events.clustersFormed, { wiki_id, job_id, clusters, layers, outliers }, deps.context))
      report(deps, sample, found, figures)
    }
  })
}

const stageOf = ({ data: { wiki_id, job_id } }: Embedded) => ({ wiki_id, job_id, stage: 'cluster' as const })

async function cluster(message: Embedded, deps: ClusterDeps, pages: JobVectors, job: Job): Promise<Clustered> {
  const { min_cluster_size: minClusterSize, target_clusters: targetClusters, seed = 0 } = job.options
  deps.log.event('clustering_started', {
    pages: pages.pageIds.length,
    dims: pages.dims,
    min_cluster_size: minClusterSize ?? 0,
  })
  const input: ClusterInput = {
    vectors: pages.vectors,
    dims: Math.max(1, pages.dims),
    options: {
      ...(minClusterSize === undefined ? {} : { minClusterSize }),
      ...(targetClusters === undefined ? {} : { targetClusters }),
    },
    products: deps.products,
    seed,
    goldLabels: pages.goldLabels,
  }
  const found = await runInWorker<Clustered | Fault, number>(new URL('./cluster-worker.ts', import.meta.url), {
    input,
    transfer: [input.vectors.buffer as ArrayBuffer],
    signal: message.signal,
    onProgress: showProgress(message, deps),
  })
  if ('fault' in found) {
    const page = found.row === undefined ? '' : `the vector of page ${pages.pageIds[found.row]}: `
    throw new Reject(`${page}${found.fault}`)
  }
  deps.metrics.clustered(pages.pageIds.length, found.seconds)
  return found
}

const progressEveryMs = 1_000

/** Progress within the stage, for who watches: it is not stored, and a lost one is made up by the next. */
function showProgress(message: Embedded, { bus, context, log }: ClusterDeps): (share: number) => void {
  let shownAt = performance.now()
  return (share) => {
    if (share >= 1 || performance.now() - shownAt < progressEveryMs) return
    shownAt = performance.now()
    const shown = { ...stageOf(message), done: Math.round(100 * share), total: 100, unit: 'percent' }
    bus
      .publish(toMessage(events.jobProgressed, shown, context))
      .catch((error: Error) => log.pino.debug({ reason: error.message }, 'progress was not shown'))
  }
}

function report(deps: ClusterDeps, sample: JobMetrics, found: Clustered, figures: ClusteringFigures): void {
  const { duration_seconds } = sample.toJSON()
  const first = firstNumbers(found.layers)[found.chosen] ?? 0
  for (const [cluster, pages] of (found.layers[found.chosen]?.sizes ?? new Int32Array()).entries()) {
    deps.log.event('cluster_created', { cluster_id: first + cluster, layer: found.chosen, pages })
  }
  const { clusters, layers, outliers, silhouette_score, silhouette_cosine } = figures
  deps.log.event('clustering_completed', {
    clusters,
    layers,
    outliers,
    silhouette_score,
    silhouette_cosine,
    duration_seconds,
  })
  deps.log.event('stage_completed', { stage: 'cluster', batches: 1, duration_seconds })
}
