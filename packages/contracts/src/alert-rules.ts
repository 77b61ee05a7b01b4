import Type, { type Static } from 'typebox'
import { type MetricName, metricList } from './record-metrics.ts'

/** Metrics of a wiki that no run measures: they are looked at by the clock. */
export const clockMetrics = ['days_since_last_run'] as const
export type ClockMetric = (typeof clockMetrics)[number]
export type RuleMetric = MetricName | ClockMetric

export const severities = ['info', 'warning', 'critical'] as const
export type Severity = (typeof severities)[number]

export const alertStates = ['pending', 'firing', 'silenced', 'acknowledged', 'resolved'] as const
export type AlertState = (typeof alertStates)[number]

const runs = (description: string) => Type.Integer({ minimum: 1, maximum: 100, description })

export const AlertRule = Type.Object(
  {
    rule: Type.String({ pattern: '^[a-z][a-z0-9-]{0,63}$', description: 'Name, unique within the wiki' }),
    enabled: Type.Boolean(),
    metric: Type.Unsafe<RuleMetric>(Type.Enum([...metricList.map((metric) => metric.name), ...clockMetrics])),
    measure: Type.Enum(['value', 'baseline_change_percent'], {
      description:
        "value: the metric itself; baseline_change_percent: its change against the pinned baseline run, or without one against the median of the 10 runs before (at least 3), in percent of the baseline's magnitude",
    }),
    comparison: Type.Enum(['above', 'below']),
    firing: Type.Number({ description: 'Crossed when the measure is strictly above (below) this' }),
    clearing: Type.Number({
      description: 'Fine again when it is at or below (above) this; between the two nothing changes',
    }),
    runs_before_firing: runs('Runs in a row that cross before the alert fires'),
    runs_before_clearing: runs('Runs in a row that are fine before it is resolved'),
    severity: Type.Enum([...severities]),
    message: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'May hold {value}, {threshold} and {baseline}',
    }),
    action: Type.String({ minLength: 1, maxLength: 1000, description: 'What to do' }),
    runbook: Type.Optional(Type.String({ maxLength: 2000, pattern: '^[^\\s]+$', description: 'Address' })),
  },
  { additionalProperties: false, title: 'AlertRule' },
)
export type AlertRule = Static<typeof AlertRule>

const maxAlertRules = 100
export const AlertRules = Type.Array(AlertRule, { maxItems: maxAlertRules })

export interface RuleError {
  /** JSON pointer into the list of rules, e.g. /2/clearing */
  readonly path: string
  readonly message: string
}

const placeholders = new Set(['value', 'threshold', 'baseline'])

/** What the schema cannot say of rules that follow it. */
export function checkRules(rules: readonly AlertRule[]): RuleError[] {
  const found: RuleError[] = []
  const seen = new Map<string, number>()
  rules.forEach((rule, at) => {
    const say = (field: string, message: string) => found.push({ path: `/${at}/${field}`, message })
    const first = seen.get(rule.rule)
    if (first !== undefined) say('rule', `expected a name used once, but /${first}/rule is ${rule.rule} too`)
    else seen.set(rule.rule, at)
    if (rule.comparison === 'above' && rule.clearing > rule.firing)
      say('clearing', `expected at most firing (${rule.firing}) for a rule that fires above it, got ${rule.clearing}`)
    if (rule.comparison === 'below' && rule.clearing < rule.firing)
      say('clearing', `expected at least firing (${rule.firing}) for a rule that fires below it, got ${rule.clearing}`)
    if (isClockMetric(rule.metric) && rule.measure !== 'value')
      say('measure', `expected value for ${rule.metric}, which no run measures, got ${rule.measure}`)
    for (const [, name] of rule.message.matchAll(/\{([^{}]*)\}/g))
      if (!placeholders.has(name as string))
        say('message', `expected only {value}, {threshold} and {baseline} in braces, got {${name}}`)
  })
  return found
}

export const isClockMetric = (name: string): name is ClockMetric => (clockMetrics as readonly string[]).includes(name)

const runbook = (section: string) => `docs/runbook.md#${section}`

const rule = (
  name: string,
  of: Omit<AlertRule, 'rule' | 'enabled' | 'measure' | 'runs_before_firing' | 'runs_before_clearing' | 'runbook'> &
    Partial<AlertRule>,
): AlertRule => ({
  enabled: true,
  measure: 'value',
  runs_before_firing: 1,
  runs_before_clearing: 2,
  runbook: runbook(name),
  ...of,
  rule: name,
})

/** Names of the three thresholds that every record is checked against, whatever rules its wiki has. */
export const qualityThresholds = ['silhouette-low', 'outliers-high', 'tags-per-page-low'] as const

/** The rules of a wiki that has none of its own. */
export const defaultAlertRules: readonly AlertRule[] = [
  rule('silhouette-low', {
    metric: 'silhouette_score',
    comparison: 'below',
    firing: 0.2,
    clearing: 0.22,
    severity: 'warning',
    message: 'Clusters overlap: silhouette {value}, expected at least {threshold}',
    action: 'Raise min_cluster_size or lower target_clusters, and look at the largest clusters for mixed topics',
  }),
  rule('outliers-high', {
    metric: 'outlier_percentage',
    comparison: 'above',
    firing: 30,
    clearing: 27,
    severity: 'warning',
    message: '{value} % of the pages belong to no cluster, expected at most {threshold} %',
    action: 'Lower min_cluster_size; check whether many pages are stubs, redirects or in another language',
  }),
  rule('tags-per-page-low', {
    metric: 'avg_tags_per_page',
    comparison: 'below',
    firing: 2,
    clearing: 2.2,
    severity: 'info',
    message: 'Pages have {value} tags on average, expected at least {threshold}',
    action: 'Lower confidence_threshold or raise tags_per_cluster',
  }),
  rule('error-rate-high', {
    metric: 'error_rate_percentage',
    comparison: 'above',
    firing: 5,
    clearing: 2,
    severity: 'critical',
    message: '{value} errors for each hundred pieces of work, expected at most {threshold}',
    action: 'Read the errors group of the record, then the log of the job: npm run logs -- --job ID',
  }),
  rule('duration-regressed', {
    metric: 'total_pipeline_duration_seconds',
    measure: 'baseline_change_percent',
    comparison: 'above',
    firing: 100,
    clearing: 50,
    runs_before_firing: 2,
    severity: 'warning',
    message: 'The job took {value} % longer than the baseline of {baseline} s, expected at most {threshold} %',
    action:
      'Compare the stages with the baseline run; look at pages embedded, LLM latency and the load of the machines',
  }),
  rule('quality-regressed', {
    metric: 'silhouette_score',
    measure: 'baseline_change_percent',
    comparison: 'below',
    firing: -25,
    clearing: -15,
    severity: 'warning',
    message: 'Silhouette changed by {value} % against the baseline of {baseline}, expected no worse than {threshold} %',
    action: 'Compare options, model and number of pages with the baseline run',
  }),
  rule('coverage-dropped', {
    metric: 'coverage_percentage',
    measure: 'baseline_change_percent',
    comparison: 'below',
    firing: -15,
    clearing: -10,
    severity: 'warning',
    message: 'Coverage changed by {value} % against the baseline of {baseline} %, expected no worse than {threshold} %',
    action: 'Look at outliers, at pages without text, and at decisions or options that changed since the baseline run',
  }),
  rule('no-recent-run', {
    metric: 'days_since_last_run',
    comparison: 'above',
    firing: 14,
    clearing: 14,
    runs_before_clearing: 1,
    severity: 'info',
    message: 'No run for {value} days, expected one each {threshold} days',
    action: 'Start a job, or check what should have started it',
  }),
  rule('llm-budget-high', {
    metric: 'llm_budget_percentage',
    comparison: 'above',
    firing: 90,
    clearing: 75,
    runs_before_clearing: 1,
    severity: 'warning',
    message: '{value} % of the LLM budget is used, expected at most {threshold} %',
    action: 'Raise the budget of the job, or label fewer clusters: later ones get keyphrases when it is spent',
  }),
]
