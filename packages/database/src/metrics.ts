import {
  type ClusterMetrics,
  type MetricName,
  type MetricSample,
  metricList,
  metricValue,
  type RunRecord,
  type recordMetrics,
} from '@tagloom/contracts'
import { and, desc, eq, gte, inArray, isNotNull, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { clusteringMetrics, metricSamples, runEvaluations, wikiRunTotals } from './schema/metrics.ts'

export type Figures = Record<string, number | null>

/**
 * Keeps samples by (job, stage, batch) in one statement. A second delivery changes nothing; of two that differ the one that
 * ended later stays, whichever comes first. Records that are made already and get a new sample become stale.
 * @returns rows that are new or changed
 */
export async function saveSamples(tx: Transaction, samples: readonly MetricSample[]): Promise<number> {
  const latest = new Map<string, MetricSample>()
  for (const sample of samples) {
    const key = `${sample.job_id}\n${sample.stage}\n${sample.batch}`
    const known = latest.get(key)
    if (!known || known.ended_at < sample.ended_at) latest.set(key, sample)
  }
  if (latest.size === 0) return 0
  const kept = [...latest.values()]
  const column = (of: (sample: MetricSample) => string | number) => sql.param(kept.map(of))
  const { rowCount } = await tx.orm.execute(sql`
    insert into metric_samples (job_id, stage, batch, wiki_id, data)
    select * from unnest(
      ${column((sample) => sample.job_id)}::text[], ${column((sample) => sample.stage)}::text[],
      ${column((sample) => sample.batch)}::text[], ${column((sample) => sample.wiki_id)}::int[],
      ${column((sample) => JSON.stringify(sample))}::jsonb[])
    on conflict (job_id, stage, batch) do update set data = excluded.data, recorded_at = now()
    where metric_samples.data ->> 'ended_at' < excluded.data ->> 'ended_at'`)
  if (!rowCount) return 0
  const jobIds = [...new Set(kept.map((sample) => sample.job_id))]
  await tx.orm
    .update(runEvaluations)
    .set({ stale: true })
    .where(and(inArray(runEvaluations.jobId, jobIds), isNotNull(runEvaluations.evaluatedAt)))
  return rowCount
}

/** Samples of a job in the order of their keys. */
export async function readSamples(db: Executor, jobId: string): Promise<MetricSample[]> {
  const rows = await db.orm
    .select({ data: metricSamples.data })
    .from(metricSamples)
    .where(eq(metricSamples.jobId, jobId))
    .orderBy(metricSamples.stage, metricSamples.batch)
  return rows.map((row) => row.data)
}

/** Stores the record of a completed job and brings its wiki's totals up to date. A second call with the same record changes nothing. */
export async function saveRecord(tx: Transaction, record: RunRecord): Promise<void> {
  const wikiId = record.wiki_id
  const figures = figuresOf(record)
  const dryRun = record.provenance.options.dry_run === true
  await tx.orm.insert(wikiRunTotals).values({ wikiId }).onConflictDoNothing()
  const [kept] = await tx.orm.select().from(wikiRunTotals).where(eq(wikiRunTotals.wikiId, wikiId)).for('update')
  const [before] = await tx.orm
    .select({ figures: clusteringMetrics.figures })
    .from(clusteringMetrics)
    .where(eq(clusteringMetrics.jobId, record.job_id))
  const row = { ...columnsOf(record), dryRun, figures, metricsJson: record }
  await tx.orm
    .insert(clusteringMetrics)
    .values({ wikiId, jobId: record.job_id, ...row })
    .onConflictDoUpdate({ target: clusteringMetrics.jobId, set: row })
  if (dryRun || !kept) return
  await tx.orm
    .update(wikiRunTotals)
    .set({
      runs: before ? kept.runs : kept.runs + 1,
      totals: adjustTotals(kept.totals, before?.figures, figures),
      ...(kept.baselineJobId === record.job_id ? { baselineFigures: figures } : {}),
    })
    .where(eq(wikiRunTotals.wikiId, wikiId))
}

type Totals = Record<string, { n: number; sum: number }>

function adjustTotals(totals: Totals, before: Figures | undefined, after: Figures): Totals {
  const next: Totals = { ...totals }
  for (const [figures, sign] of [
    [before, -1],
    [after, 1],
  ] as const)
    for (const [name, value] of Object.entries(figures ?? {})) {
      if (value === null) continue
      const { n, sum } = next[name] ?? { n: 0, sum: 0 }
      next[name] = { n: n + sign, sum: sum + sign * value }
    }
  return next
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

/** Which runs: the last so many, or those of the last so many days, of which the newest `limit` at most. */
export interface RunWindow {
  readonly window?: number | undefined
  readonly days?: number | undefined
}

/** Most runs that a question about a series looks at. */
const maxRunsOfSeries = 1000

export interface SeriesRun {
  readonly jobId: string
  readonly at: Date
  readonly figures: Figures
}

/** Figures of a wiki's runs, dry runs left out, oldest first. */
export async function readSeries(db: Executor, wikiId: number, { window, days }: RunWindow): Promise<SeriesRun[]> {
  const rows = await db.orm
    .select({ jobId: clusteringMetrics.jobId, at: clusteringMetrics.createdAt, figures: clusteringMetrics.figures })
    .from(clusteringMetrics)
    .where(
      and(
        eq(clusteringMetrics.wikiId, wikiId),
        eq(clusteringMetrics.dryRun, false),
        days === undefined ? undefined : gte(clusteringMetrics.createdAt, sql`now() - ${days} * interval '1 day'`),
      ),
    )
    .orderBy(desc(clusteringMetrics.createdAt), desc(clusteringMetrics.jobId))
    .limit(Math.min(window ?? maxRunsOfSeries, maxRunsOfSeries))
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

export interface RunTotals {
  readonly runs: number
  readonly totals: Readonly<Totals>
  readonly baselineJobId: string | null
  readonly baselineFigures: Figures | null
}

/** What is kept of all of a wiki's runs, and its pinned baseline. */
export async function readRunTotals(db: Executor, wikiId: number): Promise<RunTotals> {
  const rows = await db.orm.select().from(wikiRunTotals).where(eq(wikiRunTotals.wikiId, wikiId))
  return rows[0] ?? { runs: 0, totals: {}, baselineJobId: null, baselineFigures: null }
}

/**
 * Pins the run that others are measured against, or with null unpins it.
 * @returns false when the wiki has no record of that job
 */
export async function setBaseline(tx: Transaction, wikiId: number, jobId: string | null, by: string): Promise<boolean> {
  const record = jobId === null ? undefined : await readRecord(tx, jobId)
  if (jobId !== null && record?.wiki_id !== wikiId) return false
  const baseline = {
    baselineJobId: jobId,
    baselineFigures: record ? figuresOf(record) : null,
    baselineSetBy: by,
  }
  await tx.orm
    .insert(wikiRunTotals)
    .values({ wikiId, ...baseline })
    .onConflictDoUpdate({ target: wikiRunTotals.wikiId, set: baseline })
  return true
}

/** The answer of GET /api/tags/cluster-metrics/{wiki_id}: averages over all runs, or over those of the window. */
export async function readClusterMetrics(db: Executor, wikiId: number, over: RunWindow = {}): Promise<ClusterMetrics> {
  const rows = await db.orm
    .select({ record: clusteringMetrics.metricsJson, at: clusteringMetrics.createdAt })
    .from(clusteringMetrics)
    .where(and(eq(clusteringMetrics.wikiId, wikiId), eq(clusteringMetrics.dryRun, false)))
    .orderBy(desc(clusteringMetrics.createdAt), desc(clusteringMetrics.jobId))
    .limit(1)
  const latest = rows[0]
  const averages =
    over.window === undefined && over.days === undefined
      ? averagesOf((await readRunTotals(db, wikiId)).totals)
      : averagesOfSeries(await readSeries(db, wikiId, over))
  return {
    wiki_id: wikiId,
    latest_clustering: latest ? latestOf(latest.record, latest.at) : null,
    historical_trend: {
      avg_duration_seconds: averages('total_pipeline_duration_seconds'),
      avg_cluster_count: averages('cluster_count'),
      avg_quality_score: averages('silhouette_score'),
    },
  }
}

type Average = (name: MetricName) => number | null

const averagesOf =
  (totals: Readonly<Totals>): Average =>
  (name) => {
    const kept = totals[name]
    return kept && kept.n > 0 ? kept.sum / kept.n : null
  }

function averagesOfSeries(series: readonly SeriesRun[]): Average {
  let totals: Totals = {}
  for (const run of series) totals = adjustTotals(totals, undefined, run.figures)
  return averagesOf(totals)
}

function latestOf(record: RunRecord, at: Date): NonNullable<ClusterMetrics['latest_clustering']> {
  const { performance, quality, coverage, errors } = record
  return {
    job_id: record.job_id,
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
