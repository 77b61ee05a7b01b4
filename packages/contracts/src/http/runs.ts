import Type, { type Static } from 'typebox'
import { RunRecord } from '../record.ts'
import { type MetricName, metricList } from '../record-metrics.ts'
import { listOf, listQuery } from './paging.ts'

const figure = Type.Union([Type.Number(), Type.Null()])
const time = Type.String({ format: 'date-time' })
const jobId = Type.String({ minLength: 1, maxLength: 200 })
const metricName = Type.Unsafe<MetricName>(Type.Enum(metricList.map((metric) => metric.name)))

const figures = Type.Object(
  Object.fromEntries(
    metricList.map((metric) => [
      metric.name,
      Type.Union([Type.Number(), Type.Null()], { description: `${metric.definition} [${metric.unit}]` }),
    ]),
  ),
)

export const Run = Type.Object(
  {
    job_id: jobId,
    created_at: Type.String({ format: 'date-time', description: 'When the job was completed' }),
    dry_run: Type.Boolean(),
    figures: Type.Unsafe<Record<string, number | null>>(figures),
  },
  { title: 'Run' },
)
export type Run = Static<typeof Run>
export const RunList = listOf(Run, 'RunList')

const runFilters = {
  sort: Type.Optional(
    Type.Unsafe<MetricName | 'created_at'>(
      Type.Enum(['created_at', ...metricList.map((metric) => metric.name)], { default: 'created_at' }),
    ),
  ),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'desc' })),
  since: Type.Optional(time),
  until: Type.Optional(time),
  dry_run: Type.Optional(Type.Boolean({ description: 'Only dry runs, or only others' })),
  metric: Type.Optional(metricName),
  min: Type.Optional(Type.Number({ description: 'Only runs whose `metric` is at least this' })),
  max: Type.Optional(Type.Number({ description: 'Only runs whose `metric` is at most this' })),
}
export const RunListQuery = listQuery({
  ...runFilters,
  format: Type.Optional(
    Type.Enum(['json', 'csv', 'ndjson'], {
      default: 'json',
      description: 'csv and ndjson stream every run that matches, whatever the limit',
    }),
  ),
})
export type RunListQuery = Static<typeof RunListQuery>

export const JobMetrics = Type.Object(
  {
    record: RunRecord,
    live: Type.Boolean({ description: 'From the live store: the record so far' }),
    quality_alerts: Type.Array(
      Type.Object({
        rule: Type.String(),
        severity: Type.String(),
        metric: Type.String(),
        value: Type.Number(),
        threshold: Type.Number(),
        message: Type.String(),
        action: Type.String(),
      }),
      { description: 'Which of the three default thresholds it crosses' },
    ),
  },
  { title: 'JobMetrics' },
)
export type JobMetrics = Static<typeof JobMetrics>

export const CompareParams = Type.Object({ job_id: jobId, other_id: jobId })

const verdicts = ['better', 'worse', 'same', 'different', 'unknown'] as const
export type Verdict = (typeof verdicts)[number]
const verdict = Type.Enum([...verdicts], {
  description: "By the metric's declared direction; different: neither way is better; unknown: a figure is missing",
})

export const Comparison = Type.Object(
  {
    a: Type.Object({ job_id: jobId, created_at: time }),
    b: Type.Object({ job_id: jobId, created_at: time }),
    like_with_like: Type.Boolean({
      description: 'Both ran with the same options and models; the versions of the code are among the settings',
    }),
    metrics: Type.Array(
      Type.Object({
        metric: metricName,
        group: Type.String(),
        unit: Type.String(),
        a: figure,
        b: figure,
        difference: figure,
        change_percent: figure,
        verdict,
      }),
      { description: 'b as seen from a' },
    ),
    settings: Type.Array(
      Type.Object({ name: Type.String(), a: Type.Unknown(), b: Type.Unknown(), same: Type.Boolean() }),
      { description: 'Options, models, versions of the code and details of both' },
    ),
    tags: Type.Object({
      only_a: Type.Integer(),
      only_b: Type.Integer(),
      both: Type.Integer(),
      page_tags_only_a: Type.Integer(),
      page_tags_only_b: Type.Integer(),
      page_tags_both: Type.Integer(),
      items: Type.Array(
        Type.Object({
          label: Type.String(),
          pages_a: Type.Integer(),
          pages_b: Type.Integer(),
          pages_both: Type.Integer(),
        }),
        { description: 'The 500 tags that differ on the most pages' },
      ),
    }),
  },
  { title: 'Comparison' },
)
export type Comparison = Static<typeof Comparison>

/** Slope and significance look at every pair of runs: 200 runs of all metrics take about 20 ms of a processor, 500 more than 100. */
export const maxTrendWindow = 200
/** Which runs a trend looks at: the last so many, or those of the last so many days. */
const windowQuery = {
  window: Type.Optional(Type.Integer({ minimum: 1, maximum: maxTrendWindow, description: 'The last so many runs' })),
  days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3650,
      description: `The runs of the last so many days, the newest ${maxTrendWindow} at most`,
    }),
  ),
}
export const defaultTrendWindow = 20
export const TrendQuery = Type.Object(windowQuery, { additionalProperties: false })

export const Trends = Type.Object(
  {
    wiki_id: Type.Integer(),
    runs: Type.Integer({ description: 'How many runs were looked at; dry runs are left out' }),
    runs_recorded: Type.Integer({ description: 'How many there are' }),
    from: Type.Union([time, Type.Null()]),
    to: Type.Union([time, Type.Null()]),
    baseline_job_id: Type.Union([Type.String(), Type.Null()]),
    metrics: Type.Array(
      Type.Object({
        metric: metricName,
        group: Type.String(),
        unit: Type.String(),
        n: Type.Integer(),
        mean: figure,
        median: figure,
        mad: Type.Union([Type.Number(), Type.Null()], { description: 'Median absolute deviation' }),
        slope: Type.Union([Type.Number(), Type.Null()], { description: 'Theil–Sen, in units a run' }),
        tau: figure,
        p_value: Type.Union([Type.Number(), Type.Null()], { description: 'Mann–Kendall, two-sided' }),
        last: figure,
        band: Type.Union([
          Type.Object({ low: Type.Number(), high: Type.Number(), inside: Type.Boolean() }),
          Type.Null(),
        ]),
        enough_data: Type.Boolean(),
        trend: Type.Enum(['improving', 'worsening', 'changing', 'steady', 'unknown'], {
          description: 'What slope and significance (p < 0.05) come to by the direction of the metric',
        }),
        baseline: Type.Union([Type.Object({ value: Type.Number(), change_percent: figure, verdict }), Type.Null()]),
      }),
    ),
  },
  { title: 'Trends' },
)
export type Trends = Static<typeof Trends>

export const Baseline = Type.Object(
  { job_id: Type.Union([jobId, Type.Null()], { description: 'null: none; the median of the runs before stands in' }) },
  { additionalProperties: false, title: 'Baseline' },
)
