import type { AlertRule, AlertState, MetricSample, RunRecord } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  pgView,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { bytea, createdAt, instant } from './columns.ts'
import { jobs } from './jobs.ts'
import { wikis } from './wikis.ts'

/** What batches measured: the samples of one job that were stored together. Rows are added and never changed (metric-samples.ts). */
export const metricSampleBatches = pgTable(
  'metric_sample_batches',
  {
    jobId: text('job_id').notNull(),
    id: bigint({ mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    /** `stage/batch` of each, one a line. Apart from the samples: what counts them neither unpacks nor parses any */
    keys: text().notNull(),
    /** The samples as they were sent, one a line. Text and not json: it is only ever read whole */
    samples: text().notNull(),
    recordedAt: instant('recorded_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.id] }), index('metric_sample_batches_age').on(t.recordedAt)],
)

/**
 * For people and reports: one row a sample, of those with one key the one that counts. By job, stage and batch it reads that job's rows only.
 * The services read the table: a sample that PostgreSQL cannot take apart (NUL in a text, nested without end) makes this view fail for its job.
 */
export const metricSamples = pgView('metric_samples', {
  jobId: text('job_id').notNull(),
  stage: text().notNull(),
  batch: text().notNull(),
  wikiId: integer('wiki_id').notNull(),
  endedAt: instant('ended_at').notNull(),
  data: json().$type<MetricSample>().notNull(),
  recordedAt: instant('recorded_at').notNull(),
}).as(sql`
  select distinct on (job_id, stage, batch)
    job_id, stage, batch, (data ->> 'wiki_id')::integer as wiki_id, (data ->> 'ended_at')::timestamptz(3) as ended_at, data, recorded_at
  from (
    select b.job_id, split_part(l.key, '/', 1) as stage, substr(l.key, strpos(l.key, '/') + 1) as batch, l.sample::json as data, b.recorded_at
    from metric_sample_batches b
    cross join lateral rows from (string_to_table(b.keys, E'\\n'), string_to_table(b.samples, E'\\n')) l (key, sample)
  ) s
  order by job_id, stage, batch, (data ->> 'ended_at')::timestamptz desc, data::text collate "C" desc, recorded_at`)

/** Completed jobs whose record is to be made and judged: what the aggregator owes, whatever happens to it. */
export const runEvaluations = pgTable(
  'run_evaluations',
  {
    jobId: text('job_id')
      .primaryKey()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    wikiId: integer('wiki_id').notNull(),
    completedAt: instant('completed_at').notNull(),
    expectedSamples: integer('expected_samples').notNull(),
    /** When the rules last looked at it; null: not yet */
    evaluatedAt: instant('evaluated_at'),
    /** Samples came after its record was made: the record is to be made again */
    stale: boolean().notNull().default(false),
    /** Times in a row that its record could not be made or stored; 0 once it was, or was given up */
    failures: integer().notNull().default(0),
    /** Not tried again before; null: at once */
    retryAt: instant('retry_at'),
    /** Why it was given up the last time; null: it was not */
    gaveUp: text('gave_up'),
  },
  (t) => [
    index('run_evaluations_due').on(t.wikiId, t.completedAt, t.jobId).where(sql`evaluated_at is null`),
    index('run_evaluations_stale').on(t.jobId).where(sql`stale`),
  ],
)

const seconds = (name: string) => doublePrecision(name)

/** One run record a job. */
export const clusteringMetrics = pgTable(
  'clustering_metrics',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    createdAt: createdAt(),
    totalDurationSeconds: seconds('total_duration_seconds'),
    clusteringDurationSeconds: seconds('clustering_duration_seconds'),
    tagGenerationDurationSeconds: seconds('tag_generation_duration_seconds'),
    propagationDurationSeconds: seconds('propagation_duration_seconds'),
    clusterCount: integer('cluster_count'),
    avgClusterSize: doublePrecision('avg_cluster_size'),
    outlierCount: integer('outlier_count'),
    silhouetteScore: doublePrecision('silhouette_score'),
    pagesProcessed: integer('pages_processed'),
    pagesTagged: integer('pages_tagged'),
    totalTagsApplied: integer('total_tags_applied'),
    avgTagsPerPage: doublePrecision('avg_tags_per_page'),
    llmFailures: integer('llm_failures'),
    parsingErrors: integer('parsing_errors'),
    totalErrors: integer('total_errors'),
    /** Dry runs are recorded, but belong to no trend and raise no alert */
    dryRun: boolean('dry_run').notNull().default(false),
    /** Every metric by name, apart from metrics_json so that a series is read without its breakdowns */
    figures: jsonb().$type<Record<string, number | null>>().notNull().default({}),
    metricsJson: jsonb('metrics_json').$type<RunRecord>().notNull(),
  },
  (t) => [
    uniqueIndex('clustering_metrics_job').on(t.jobId),
    index('clustering_metrics_wiki_id').on(t.wikiId, t.createdAt.desc().nullsFirst(), t.jobId.desc().nullsFirst()),
    index('clustering_metrics_created_at').on(t.createdAt.desc().nullsFirst()),
  ],
)

/**
 * The roll-up of a wiki's runs, dry runs left out, so that no question about them reads them all. Triggers on clustering_metrics keep it
 * (migration 0004), whoever adds, changes or removes runs, by retention and by cascade too: it always equals what counting anew would give.
 */
export const wikiRunTotals = pgTable('wiki_run_totals', {
  wikiId: integer('wiki_id')
    .primaryKey()
    .references(() => wikis.id, { onDelete: 'cascade' }),
  /** Grows with every change of this row */
  revision: bigint({ mode: 'number' }).notNull().default(0),
  runs: integer().notNull().default(0),
  /** By metric: how many runs have it, and their sum. Kept as decimals, in which adding and taking away leave no trace */
  totals: jsonb().$type<Record<string, { n: number; sum: number }>>().notNull().default({}),
  /** When each of the newest 200 runs was completed, oldest first: float64 big-endian, ms since 1970 */
  recentAt: bytea('recent_at').notNull().default(sql`''`),
  /** Names of the columns of recent_figures */
  recentMetrics: text('recent_metrics').array().notNull().default([]),
  /** [metrics × runs] float64 big-endian of the same runs; NaN where a run has none */
  recentFigures: bytea('recent_figures').notNull().default(sql`''`),
  /** The run that others are measured against */
  baselineJobId: text('baseline_job_id'),
  baselineFigures: jsonb('baseline_figures').$type<Record<string, number | null>>(),
  baselineSetBy: text('baseline_set_by'),
})

/** A wiki's own rules; without a row the default rules hold. */
export const alertRules = pgTable('alert_rules', {
  wikiId: integer('wiki_id')
    .primaryKey()
    .references(() => wikis.id, { onDelete: 'cascade' }),
  rules: jsonb().$type<AlertRule[]>().notNull(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
  updatedBy: text('updated_by'),
})

export const alerts = pgTable(
  'alerts',
  {
    id: integer().primaryKey().generatedAlwaysAsIdentity(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    rule: text().notNull(),
    severity: text().$type<'info' | 'warning' | 'critical'>().notNull(),
    state: text().$type<AlertState>().notNull(),
    metric: text().notNull(),
    value: doublePrecision(),
    threshold: doublePrecision().notNull(),
    message: text().notNull(),
    action: text().notNull(),
    runbook: text(),
    /** Runs in a row that crossed, and that were fine again */
    runsCrossed: integer('runs_crossed').notNull().default(0),
    runsClear: integer('runs_clear').notNull().default(0),
    firstJobId: text('first_job_id'),
    lastJobId: text('last_job_id'),
    open: boolean().notNull().default(true),
    /** When receivers were told; null: pending, or silenced from the start */
    raisedAt: instant('raised_at'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    resolvedAt: instant('resolved_at'),
  },
  (t) => [
    uniqueIndex('alerts_one_open').on(t.wikiId, t.rule).where(sql`open`),
    index('alerts_wiki').on(t.wikiId, t.createdAt.desc().nullsFirst()),
  ],
)

export const alertTransitions = pgTable(
  'alert_transitions',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    alertId: integer('alert_id')
      .notNull()
      .references(() => alerts.id, { onDelete: 'cascade' }),
    fromState: text('from_state'),
    toState: text('to_state').notNull(),
    jobId: text('job_id'),
    value: doublePrecision(),
    by: text().notNull(),
    createdAt: createdAt(),
  },
  (t) => [index('alert_transitions_alert').on(t.alertId, t.id)],
)

export const alertSilences = pgTable('alert_silences', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  wikiId: integer('wiki_id')
    .notNull()
    .references(() => wikis.id, { onDelete: 'cascade' }),
  /** null: every rule */
  rule: text(),
  reason: text().notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: createdAt(),
  endsAt: instant('ends_at').notNull(),
})

export interface DeliveryTry {
  readonly at: string
  readonly took_ms: number
  readonly result: string
}

/** What is still to be told to a receiver, and each try of it. */
export const alertDeliveries = pgTable(
  'alert_deliveries',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    alertId: integer('alert_id')
      .notNull()
      .references(() => alerts.id, { onDelete: 'cascade' }),
    event: text().$type<'raised' | 'acknowledged' | 'resolved'>().notNull(),
    receiver: text().notNull(),
    /** The same for every try of one delivery */
    deliveryKey: text('delivery_key').notNull(),
    status: text().$type<'due' | 'delivered' | 'given up'>().notNull().default('due'),
    attempts: integer().notNull().default(0),
    nextAttemptAt: instant('next_attempt_at').notNull().defaultNow(),
    lastResult: text('last_result'),
    /** Each try */
    log: jsonb().$type<DeliveryTry[]>().notNull().default([]),
    createdAt: createdAt(),
    deliveredAt: instant('delivered_at'),
  },
  (t) => [
    uniqueIndex('alert_deliveries_key').on(t.deliveryKey),
    index('alert_deliveries_due').on(t.receiver, t.nextAttemptAt).where(sql`status = 'due'`),
    index('alert_deliveries_alert').on(t.alertId, t.id),
  ],
)
