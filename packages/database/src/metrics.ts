import {
  type ClusterMetrics,
  type MetricName,
  metricList,
  metricValue,
  type RunRecord,
  type recordMetrics,
} from '@tagloom/contracts'
import { and, desc, eq, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { daysBefore, newestOf, type RecentRuns, readRunRollup, readRunTotals, type Totals } from './run-rollup.ts'
import { clusteringMetrics } from './schema/metrics.ts'

export type Figures = Record<string, number | null>

/** Stores the record of a completed job; its wiki's roll-up follows by trigger. A second call with the same record changes nothing. */
export async function saveRecord(tx: Transaction, record: RunRecord): Promise<void> {
  const dryRun = record.provenance.options.dry_run === true
  const row = { ...columnsOf(record), dryRun, figures: figuresOf(record), metricsJson: record }
  await tx.orm
    .insert(clusteringMetrics)
    .values({ wikiId: record.wiki_id, jobId: record.job_id, ...row })
    .onConflictDoUpdate({ target: clusteringMetrics.jobId, set: row })
}

const figuresOf = (record: RunRecord): Figures =>
  Object.fromEntries(metricList.map((metric) => [metric.name, metricValue(record, metric.name)]))

function columnsOf({ performance, quality, coverage, errors, completed_at, created_at }: RunRecord) {
  return {
    createdAt: new Date(completed_at ?? created_at),
    totalDurationSeconds: performance.total_pipeline_duration_seconds,
    clusteringDurationSeconds: performance.clustering_duration_seconds,
    tagGenerationDurationSeconds: performance.tag_generation_duration_seconds,
    propagationDurationSeconds: performance.propagation_duration_seconds,
    clusterCount: quality.cluster_count,
    avgClusterSize: quality.avg_cluster_size,
    outlierCount: quality.outlier_count,
    silhouetteScore: quality.silhouette_score,
    pagesProcessed: coverage.pages_processed,
    pagesTagged: coverage.pages_tagged,
    totalTagsApplied: coverage.total_tags_applied,
    avgTagsPerPage: coverage.avg_tags_per_page,
    llmFailures: errors.llm_failures,
    parsingErrors: errors.parsing_errors,
    totalErrors: errors.total_errors,
  }
}

export async function readRecord(db: Executor, jobId: string): Promise<RunRecord | undefined> {
  const rows = await db.orm
    .select({ record: clusteringMetrics.metricsJson })
    .from(clusteringMetrics)
    .where(eq(clusteringMetrics.jobId, jobId))
  return rows[0]?.record
}

/** Which runs: the last so many, or those of the last so many days; of either as many as the roll-up keeps. */
export interface RunWindow {
  readonly window?: number | undefined
  readonly days?: number | undefined
}

export interface SeriesRun {
  readonly jobId: string
  readonly at: Date
  readonly figures: Figures
}

/** Figures of a wiki's newest `runs` runs, dry runs left out, oldest first. */
export async function readSeries(db: Executor, wikiId: number, runs: number): Promise<SeriesRun[]> {
  const rows = await db.orm
    .select({ jobId: clusteringMetrics.jobId, at: clusteringMetrics.createdAt, figures: clusteringMetrics.figures })
    .from(clusteringMetrics)
    .where(and(eq(clusteringMetrics.wikiId, wikiId), eq(clusteringMetrics.dryRun, false)))
    .orderBy(desc(clusteringMetrics.createdAt), desc(clusteringMetrics.jobId))
    .limit(runs)
  return rows.reverse()
}

/** Figures of the runs of a wiki that were recorded before a job's, oldest first, `runs` at most. */
export async function readSeriesBefore(db: Executor, wikiId: number, jobId: string, runs: number): Promise<Figures[]> {
  const rows = await db.orm
    .select({ jobId: clusteringMetrics.jobId, figures: clusteringMetrics.figures })
    .from(clusteringMetrics)
    .where(and(eq(clusteringMetrics.wikiId, wikiId), eq(clusteringMetrics.dryRun, false)))
    .orderBy(desc(clusteringMetrics.createdAt), desc(clusteringMetrics.jobId))
    .limit(runs + 1)
  return rows
    .filter((row) => row.jobId !== jobId)
    .slice(0, runs)
    .map((row) => row.figures)
    .reverse()
}

/** Figures of the last run of each wiki, of the `wikis` wikis that ran most recently. */
export async function readLastRuns(db: Executor, wikis: number): Promise<(SeriesRun & { readonly wikiId: number })[]> {
  const current = sql`
    select w.id, j.ended_at from wikis w join jobs j on j.id = w.current_job_id order by j.ended_at desc nulls last limit ${wikis}`
  const { rows } = await db.orm.execute<{ wiki_id: number; job_id: string; at: string; figures: Figures }>(sql`
    select w.id as wiki_id, c.job_id, c.created_at as at, c.figures
    from (${current}) w
    cross join lateral (select job_id, created_at, figures from clustering_metrics
      where wiki_id = w.id and not dry_run order by created_at desc, job_id desc limit 1) c`)
  return rows.map((row) => ({ wikiId: row.wiki_id, jobId: row.job_id, at: new Date(row.at), figures: row.figures }))
}

/** The answer of GET /api/tags/cluster-metrics/{wiki_id}: averages over all runs, or over those of the window. */
export async function readClusterMetrics(db: Executor, wikiId: number, over: RunWindow = {}): Promise<ClusterMetrics> {
  const [latest, average] = await Promise.all([readLatest(db, wikiId), readAverage(db, wikiId, over)])
  return {
    wiki_id: wikiId,
    latest_clustering: latest ? latestOf(latest) : null,
    historical_trend: {
      avg_duration_seconds: average('total_pipeline_duration_seconds'),
      avg_cluster_count: average('cluster_count'),
      avg_quality_score: average('silhouette_score'),
    },
  }
}

type Average = (name: MetricName) => number | null

async function readAverage(db: Executor, wikiId: number, { window, days }: RunWindow): Promise<Average> {
  if (window === undefined && days === undefined) return averageOfTotals((await readRunTotals(db, wikiId)).totals)
  const found = await readRunRollup(db, wikiId)
  if (!found?.rollup) return () => null
  return averageOfRuns(newestOf(found.rollup, window, days === undefined ? undefined : daysBefore(found.now, days)))
}

const averageOfTotals =
  (totals: Totals): Average =>
  (name) => {
    const kept = totals[name]
    return kept && kept.n > 0 ? kept.sum / kept.n : null
  }

const averageOfRuns =
  (runs: RecentRuns): Average =>
  (name) => {
    const values = runs.figures.get(name)?.filter((value) => !Number.isNaN(value))
    return values?.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null
  }

type Latest = Pick<RunRecord, 'job_id' | 'performance' | 'quality' | 'coverage' | 'errors'> & { readonly at: Date }

/** The groups of the newest record, without its breakdowns: a tenth of it. */
async function readLatest(db: Executor, wikiId: number): Promise<Latest | undefined> {
  const group = <Name extends 'performance' | 'quality' | 'coverage' | 'errors'>(name: Name) =>
    sql<RunRecord[Name]>`${clusteringMetrics.metricsJson} -> ${sql.raw(`'${name}'`)}`
  const rows = await db.orm
    .select({
      job_id: clusteringMetrics.jobId,
      at: clusteringMetrics.createdAt,
      performance: group('performance'),
      quality: group('quality'),
      coverage: group('coverage'),
      errors: group('errors'),
    })
    .from(clusteringMetrics)
    .where(and(eq(clusteringMetrics.wikiId, wikiId), eq(clusteringMetrics.dryRun, false)))
    .orderBy(desc(clusteringMetrics.createdAt), desc(clusteringMetrics.jobId))
    .limit(1)
  return rows[0]
}

function latestOf(latest: Latest): NonNullable<ClusterMetrics['latest_clustering']> {
  const { job_id, at, performance, quality, coverage, errors } = latest
  return {
    job_id,
    created_at: at.toISOString(),
    performance: { total_duration_seconds: performance.total_pipeline_duration_seconds, ...performance },
    quality: { ...quality, cluster_count: quality.cluster_count ?? 0 },
    coverage: {
      ...coverage,
      pages_processed: coverage.pages_processed ?? 0,
      pages_tagged: coverage.pages_tagged ?? 0,
    },
    errors: counted(errors),
  }
}

const counted = <Group extends Record<keyof typeof recordMetrics.errors, number | null>>(group: Group) =>
  Object.fromEntries(Object.entries(group).map(([name, value]) => [name, value ?? 0])) as Record<keyof Group, number>
