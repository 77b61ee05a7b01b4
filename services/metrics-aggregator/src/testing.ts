import type { JobOptions, MetricSample, Stage } from '@tagloom/contracts'
import { addOutbox, completeJob, createJob, type Database, startNextJob } from '@tagloom/database'
import type { Relay } from '@tagloom/service-kit'
import type { JudgeDeps } from './records/judge-runs.ts'
import { samplesInDatabase } from './records/samples.ts'

/** What a made-up run measured, where it matters to a test. */
export interface RunFigures {
  readonly silhouette?: number
  readonly outliers?: number
  readonly tagsPerPage?: number
}

const pages = 100

/** The samples of a run: one of each stage, and two of propagate. */
export function samplesOf(
  wikiId: number,
  jobId: string,
  { silhouette = 0.5, outliers = 10, tagsPerPage = 3 }: RunFigures = {},
) {
  const make = (stage: Stage, batch: string, from: number, more: Partial<MetricSample>): MetricSample => ({
    wiki_id: wikiId,
    job_id: jobId,
    stage,
    batch,
    service: stage === 'cluster' ? 'clusterer' : stage === 'propagate' ? 'propagator' : 'tagger',
    started_at: new Date(Date.UTC(2026, 0, 24, 10, 0, from)).toISOString(),
    ended_at: new Date(Date.UTC(2026, 0, 24, 10, 0, from + 1)).toISOString(),
    duration_seconds: 1,
    counters: {},
    gauges: {},
    ...more,
  })
  const half = {
    pages_processed: pages / 2,
    pages_tagged: pages / 2,
    tags_applied: Math.round((pages / 2) * tagsPerPage),
  }
  return [
    make('embed', '0', 0, { counters: { pages_embedded: pages } }),
    make('cluster', 'run', 1, {
      gauges: {
        cluster_count: 5,
        pages_clustered: pages - outliers,
        outlier_count: outliers,
        min_cluster_size: 5,
        max_cluster_size: 40,
        silhouette_score: silhouette,
        silhouette_cosine: 0.1,
      },
    }),
    make('label', '0', 2, {
      counters: { llm_calls: 5, clusters_labelled: 5, cluster_tags: 20 },
      values: { llm_latency_ms: [10, 20] },
    }),
    make('propagate', '0', 3, { counters: half }),
    make('propagate', '1', 4, { counters: half }),
  ]
}

/** A job of a wiki that ran and is completed. */
export async function completedJob(
  db: Database,
  wikiId: number,
  options: JobOptions = {},
  origin: { readonly requestId?: string; readonly traceparent?: string } = {},
): Promise<string> {
  const id = await db.transaction(async (tx) => {
    const job = await createJob(tx, { wikiId, options, ...origin })
    await startNextJob(tx, wikiId)
    return job?.id as string
  })
  await db.transaction((tx) => completeJob(tx, id, {}))
  return id
}

/** What judges runs by the samples in the database; `of` replaces what a test wants to see or to have otherwise. */
export const judgeDepsOn = (db: Database, of: Partial<JudgeDeps> = {}): JudgeDeps => ({
  db,
  commit: commitTo(db),
  samples: samplesInDatabase(db),
  store: true,
  graceSeconds: 3600,
  onRecord: () => {},
  onFailure: () => {},
  retryPauseSeconds: 60,
  ...of,
})

/** `Relay.commit` that leaves what is owed in the outbox. */
export const commitTo =
  (db: Database): Relay['commit'] =>
  (work) =>
    db.transaction(async (tx) => {
      const owed: Parameters<typeof addOutbox>[1][number][] = []
      const result = await work(tx, (...messages) => void owed.push(...messages))
      await addOutbox(tx, owed)
      return result
    })

/**
 * Makes time pass for what is still owed to receivers: every instant of their deliveries moves into the past. What a process has in hand
 * keeps its lease.
 */
export async function passTime(db: Database, ms: number): Promise<void> {
  await db.pool.query(
    `update alert_deliveries set created_at = created_at - $1 * interval '1 millisecond',
       next_attempt_at = case when jsonb_array_length(log) = attempts or next_attempt_at > now() + interval '30 seconds'
         then next_attempt_at - $1 * interval '1 millisecond' else next_attempt_at end
     where status = 'due'`,
    [ms],
  )
}
