import { type Message, Reject } from '@tagloom/bus'
import { events, jobOptionDefaults, toMessage } from '@tagloom/contracts'
import { finishStep, type Job, openStage, readClusteringFigures, readJob, storeClustering } from '@tagloom/database'
import type { ProductOptions } from '@tagloom/inference'
import { type HandlerDeps, handleOnce, JobMetrics, runInWorker } from '@tagloom/service-kit'
import type { ClusteringMetrics } from '../metrics.ts'
import type { Clustered, ClusterInput, Fault, Told } from './cluster-worker.ts'
import { type ClusteringFigures, figuresOf, measure } from './figures.ts'
import { clustersToStore, firstNumbers, membersToStore } from './rows-to-store.ts'
import { type Pace, TimeLeft } from './time-left.ts'

export interface ClusterDeps extends HandlerDeps {
  readonly metrics: ClusteringMetrics
  readonly products: ProductOptions
  readonly pace: Pace
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
    const sample = JobMetrics.of(deps, { wikiId: wiki_id, jobId: job_id, service: 'clusterer' })
    sample.startStage('cluster', 0)
    deps.log.event('stage_started', { stage: 'cluster', batches: 1 })
    const found = await cluster(message, deps, job)
    const figures = figuresOf(found, message.data.pages)
    measure(sample, found, figures)
    return async (tx, owe) => {
      await storeClustering(tx, job_id, {
        clusters: clustersToStore(found.layers, found.chosen, found.dims, found.lineages.lineages),
        members: whileItGoesOn(membersToStore(found.layers, found.pageIds), message.signal),
        found: { pageIds: found.pageIds, layers: found.found },
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

async function cluster(message: Embedded, deps: ClusterDeps, job: Job): Promise<Clustered> {
  const { min_cluster_size: minClusterSize, target_clusters: targetClusters } = job.options
  const { seed = 0, seed_stability: otherSeeds = 0 } = job.options
  const input: ClusterInput = {
    databaseUrl: deps.config.DATABASE_URL,
    jobId: job.id,
    model: job.model ?? message.data.model,
    previousJobId: job.previousJobId,
    keepTopics: job.options.keep_topics ?? jobOptionDefaults.keep_topics,
    options: {
      ...(minClusterSize === undefined ? {} : { minClusterSize }),
      ...(targetClusters === undefined ? {} : { targetClusters }),
    },
    products: deps.products,
    seed,
    otherSeeds,
  }
  let shown: ReturnType<typeof showProgress> | undefined
  const onProgress = (told: Told) => {
    if (typeof told === 'number') return shown?.reached(told)
    shown = showProgress(message, deps, told.pages * (1 + otherSeeds), told.dims)
    deps.log.event('clustering_started', { ...told, min_cluster_size: minClusterSize ?? 0 })
  }
  const found = await runInWorker<Clustered | Fault, Told>(new URL('./cluster-worker.ts', import.meta.url), {
    input,
    signal: message.signal,
    onProgress,
  }).finally(() => shown?.end())
  if ('fault' in found) {
    if (found.page === undefined) throw new Reject(found.fault)
    throw new Reject(
      `the vector of page "${found.page}" ${found.fault}: delete the page and import it again, so that it is embedded anew, then start a job`,
    )
  }
  deps.metrics.clustered(found.pageIds.length, found.seconds)
  return found
}

/** The same rows, until the signal aborts: the transaction that takes them is rolled back. */
function* whileItGoesOn<Row>(rows: Iterable<Row>, signal: AbortSignal): Generator<Row> {
  for (const row of rows) {
    signal.throwIfAborted()
    yield row
  }
}

const progressEveryMs = 1_000

/** Progress within the stage, for who watches: it is not stored, and a lost one is made up by the next. */
function showProgress(message: Embedded, deps: ClusterDeps, pages: number, dims: number) {
  const { bus, context, log, pace } = deps
  const left = new TimeLeft(pace.expectedSeconds(pages, dims))
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1_000
  const timer = setInterval(() => {
    const { percent, secondsLeft } = left.at(seconds())
    const shown = { ...stageOf(message), done: percent, total: 100, unit: 'percent', seconds_left: secondsLeft }
    bus
      .publish(toMessage(events.jobProgressed, shown, context))
      .catch((error: Error) => log.pino.debug({ reason: error.message }, 'progress was not shown'))
  }, progressEveryMs)
  return {
    reached(share: number) {
      left.reached(share, seconds())
      if (share === 1) pace.took(seconds(), pages, dims)
    },
    end: () => clearInterval(timer),
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
