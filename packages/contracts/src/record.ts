import Type, { type Static } from 'typebox'
import { JobOptions } from './job-options.ts'
import {
  type MetricDeclaration,
  type MetricGroup,
  type MetricName,
  metricGroups,
  recordMetrics,
} from './record-metrics.ts'
import { services, stages } from './stages.ts'

type Values<G extends MetricGroup> = { [Name in keyof (typeof recordMetrics)[G]]: number | null }

function groupSchema<G extends MetricGroup>(group: G) {
  const declared = Object.entries(recordMetrics[group] as Record<string, MetricDeclaration>)
  const properties = Object.fromEntries(
    declared.map(([name, metric]) => [
      name,
      Type.Union([Type.Number(), Type.Null()], {
        description: `${metric.definition} [${metric.unit}]`,
        examples: [metric.example],
      }),
    ]),
  )
  return Type.Unsafe<Values<G>>(Type.Object(properties))
}

const nullableNumber = Type.Union([Type.Number(), Type.Null()])
const time = Type.String({ format: 'date-time' })

const Distribution = Type.Object(
  {
    count: Type.Integer({ minimum: 0 }),
    mean: nullableNumber,
    min: nullableNumber,
    p50: nullableNumber,
    p90: nullableNumber,
    p95: nullableNumber,
    p99: nullableNumber,
    max: nullableNumber,
  },
  { description: 'Percentiles by linear interpolation between the closest ranks' },
)
export type Distribution = Static<typeof Distribution>

const Histogram = Type.Object({
  bounds: Type.Array(Type.Number(), {
    description: 'Upper bounds, inclusive; one more count follows for what is above',
  }),
  counts: Type.Array(Type.Integer({ minimum: 0 })),
})
export type Histogram = Static<typeof Histogram>

const StageBreakdown = Type.Object({
  started_at: Type.Union([time, Type.Null()]),
  ended_at: Type.Union([time, Type.Null()]),
  duration_seconds: nullableNumber,
  busy_seconds: Type.Number({ description: 'Time in which at least one batch was under way' }),
  work_seconds: Type.Number({ description: 'Sum of the batches: more than busy_seconds when replicas share the work' }),
  samples: Type.Integer({ minimum: 0 }),
  batch_seconds: Distribution,
  counters: Type.Record(Type.String(), Type.Number()),
  gauges: Type.Record(Type.String(), Type.Number()),
  batches: Type.Array(
    Type.Object({
      batch: Type.String(),
      service: Type.Enum([...services]),
      started_at: time,
      duration_seconds: Type.Number(),
    }),
    { description: 'The first 200 batches by key' },
  ),
})
export type StageBreakdown = Static<typeof StageBreakdown>

const [embed, cluster, label, propagate] = stages

/** What is known of one run, in groups; with the breakdowns it is the metrics_json of clustering_metrics. */
export const RunRecord = Type.Object({
  version: Type.Literal(1),
  wiki_id: Type.Integer({ minimum: 1 }),
  job_id: Type.String(),
  created_at: time,
  completed_at: Type.Union([time, Type.Null()]),
  status: Type.String({ description: 'Of the job when the record was made' }),
  samples: Type.Object({
    received: Type.Integer({ minimum: 0 }),
    expected: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  }),
  performance: groupSchema('performance'),
  quality: groupSchema('quality'),
  coverage: groupSchema('coverage'),
  errors: groupSchema('errors'),
  cost: groupSchema('cost'),
  clustering: groupSchema('clustering'),
  stages: Type.Object({
    [embed]: StageBreakdown,
    [cluster]: StageBreakdown,
    [label]: StageBreakdown,
    [propagate]: StageBreakdown,
  }),
  distributions: Type.Object({
    llm_latency_ms: Distribution,
    cluster_sizes: Distribution,
    cluster_confidence: Distribution,
    tags_per_page: Distribution,
  }),
  histograms: Type.Object({ cluster_sizes: Histogram, tags_per_page: Histogram }),
  provenance: Type.Object({
    options: JobOptions,
    model: Type.Union([Type.String(), Type.Null()], { description: 'Embedding model' }),
    labeller_model: Type.Union([Type.String(), Type.Null()], {
      description: 'Language model that was asked for labels; null where none was',
    }),
    versions: Type.Record(Type.String(), Type.Array(Type.String()), {
      description: 'Of the code of each service that took part; more than one where replicas of several did',
    }),
    details: Type.Record(Type.String(), Type.Unknown(), {
      description: 'What the stages said of themselves',
    }),
    config_hash: Type.String({
      description:
        'SHA-256 of options (dry_run and seed_stability left out) and both models: equal where two runs compare like with like',
    }),
  }),
})
export type RunRecord = Static<typeof RunRecord>

/** One metric of a record, wherever its group is. */
export function metricValue(record: RunRecord, name: MetricName): number | null {
  for (const group of metricGroups.map((name) => record[name])) {
    if (name in group) return (group as Record<string, number | null>)[name] ?? null
  }
  return null
}

/**
 * A live record as it stands at `now`. It is made when a sample comes: between two of them time goes on, and a job that is taken up again
 * has the state that it ended in until the first.
 */
export function recordAsOf(
  record: RunRecord,
  job: { readonly status: string; readonly startedAt: Date | null; readonly endedAt: Date | null },
  now: Date,
): RunRecord {
  const { status, startedAt } = job
  if (!startedAt) return { ...record, status }
  const seconds = Math.max(0, (job.endedAt ?? now).getTime() - startedAt.getTime()) / 1000
  const pages = record.coverage.pages_processed
  return {
    ...record,
    status,
    performance: {
      ...record.performance,
      total_pipeline_duration_seconds: seconds,
      pages_per_second: pages === null || seconds === 0 ? null : pages / seconds,
    },
  }
}
