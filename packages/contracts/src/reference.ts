import { type LogLevel, type LogScope, logContext, logEvents, scopeIds } from './log-events.ts'
import { measures } from './record-measures.ts'
import { type MetricDeclaration, type MetricGroup, metricGroups, recordMetrics } from './record-metrics.ts'

/** Pages of docs/ that come from the declarations. `vitest run packages/contracts -u` writes them; the test compares. */

const groupIntros: Record<MetricGroup, string> = {
  performance: 'How fast it was.',
  quality: 'How good the clusters and their tags are.',
  coverage: 'How much of the wiki was reached.',
  errors: 'How clean the run was. The counts are disjoint, and `total_errors` is their sum.',
  cost: 'What the labeller was asked, and what that cost.',
  clustering: 'What became of the topics since the run before, and how far the clusters can be trusted.',
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ')
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`

export function metricsReference(): string {
  const groups = metricGroups.map((group) => {
    const declared = Object.entries(recordMetrics[group] as Record<string, MetricDeclaration>)
    return [
      `## ${group}`,
      '',
      groupIntros[group],
      ...declared.flatMap(([name, metric]) => ['', `### ${name}`, '', ...metricLines(metric)]),
      '',
    ].join('\n')
  })
  return `# Metrics of a run

<!-- Generated from packages/contracts/src/record-metrics.ts and record-measures.ts: npm test -- packages/contracts -u -->

A run record is made of what each batch of each stage measured, and of nothing else: it is the same whatever the order in which the
samples came, how often, and how late. A metric is \`null\` where it was not measured or is not defined.
In the formulas, Σ adds a counter over samples, *last* takes a gauge from the sample that ended last, and mean is over single observations.
Every metric says which way is better; a comparison of two runs and the verdict of a trend follow from that.

The record is at \`GET /api/jobs/{job_id}/metrics\` (while the job runs: so far), the groups of the last run at
\`GET /api/tags/cluster-metrics/{wiki_id}\`, all runs at \`GET /api/wikis/{wiki_id}/runs\`, and the last figures of each wiki as
\`tagloom_run_figure{wiki_id, group, metric, unit}\` at the aggregator's \`/metrics\`.

${groups.join('\n')}
## Measures

What the stages put into their samples. Beside them \`pages_by_tags.N\` (propagate) counts the pages that got exactly N tags.

| measure | kind | stage | what |
|---|---|---|---|
${Object.entries(measures)
  .map(([name, measure]) => row([`\`${name}\``, measure.kind, measure.stage, measure.description]))
  .join('\n')}

## Breakdowns

Beside the groups a record holds:
- \`stages\`: of each stage its start and end, \`duration_seconds\` (wall time), \`busy_seconds\` (time in which a batch was under way),
  \`work_seconds\` (sum of the batches), percentiles of the batches, all its counters and gauges, and the first 200 batches;
- \`distributions\`: count, mean, min, p50, p90, p95, p99 and max of labeller latency, cluster sizes, cluster confidence and tags of a page;
- \`histograms\`: cluster sizes and tags of a page, \`counts[i]\` holding what is at most \`bounds[i]\`, the last count what is above;
- \`provenance\`: the options of the job, its embedding model, the language model that was asked (\`labeller_model\`), the versions of the
  code by service, what the stages said of themselves, and a hash of options and models: two runs with the same \`config_hash\` compare like
  with like, if their versions are the same too;
- \`samples\`: how many came, and how many the job said there are.
`
}

const better = { higher: 'higher is better', lower: 'lower is better', neither: 'neither way is better' } as const

const metricLines = (metric: MetricDeclaration): string[] => [
  `${metric.definition}.`,
  '',
  `- unit: ${metric.unit}; ${better[metric.better]}`,
  `- formula: \`${metric.formula}\``,
  `- taken: ${metric.taken}`,
  `- example: ${metric.example}`,
]

export function loggingReference(): string {
  const events = Object.entries(logEvents).map(([name, event]) => ({
    name,
    ...(event as { level: LogLevel; scope: LogScope; description: string; fields: Record<string, unknown> }),
  }))
  const sections = events.map(({ name, level, scope, description, fields }) =>
    [
      `### ${name}`,
      '',
      `**${level}** · ${description}.`,
      ...(scopeIds[scope].length ? [`Always with ${scopeIds[scope].map((id) => `\`${id}\``).join(', ')}.`] : []),
      '',
      ...Object.entries(fields).map(([field, schema]) => `- \`${field}\`: ${typeOf(schema)}`),
      '',
    ].join('\n'),
  )
  return `# Logs

<!-- Generated from packages/contracts/src/log-events.ts: npm test -- packages/contracts -u -->

Every service writes one JSON object a line to stdout and, with \`LOG_FILE\`, to a rotated file (daily and at 20 MB, seven old files kept);
\`LOG_FORMAT=readable\` is for people at a terminal. A line is one line whatever a page's title holds. No line ever holds page text, a key or
a secret. \`npm run logs -- --job ID\` joins the lines of one job from all services in order.

Each line has \`time\` (ISO 8601, UTC, milliseconds), \`level\`, \`service\`, and for a named event \`event\` with the fields below. Lines
that belong to a job, wiki or request carry ${Object.keys(logContext)
    .map((id) => `\`${id}\``)
    .join(', ')}: the request id and the trace id go with a job from the gateway to its last alert.

Levels: DEBUG for what only a developer wants; INFO for what happened; WARNING for what passed but deserves a look; ERROR for work that failed
and is tried again or put aside; CRITICAL only where a pipeline or a service aborts.

| event | level | when |
|---|---|---|
${events.map(({ name, level, description }) => row([`[${name}](#${name})`, level, description])).join('\n')}

${sections.join('\n')}`
}

function typeOf(schema: unknown): string {
  const {
    type,
    enum: allowed,
    anyOf,
    description,
    '~optional': optional,
  } = schema as {
    type?: string
    enum?: unknown[]
    anyOf?: unknown[]
    description?: string
    '~optional'?: boolean
  }
  const base = allowed ? allowed.join(' or ') : anyOf ? anyOf.map(typeOf).join(' or ') : (type ?? 'any')
  return `${base}${optional ? ', where it is known' : ''}${description ? `. ${description}` : ''}`
}
