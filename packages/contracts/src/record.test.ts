import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { logEvents, logLineSchema } from './log-events.ts'
import { RunRecord } from './record.ts'
import { measures } from './record-measures.ts'
import { metricList, recordMetrics } from './record-metrics.ts'

const designed = {
  performance: [
    'clustering_duration_seconds',
    'tag_generation_duration_seconds',
    'propagation_duration_seconds',
    'total_pipeline_duration_seconds',
    'embedding_duration_seconds',
    'avg_llm_latency_ms',
    'pages_per_second',
  ],
  quality: [
    'cluster_count',
    'avg_cluster_size',
    'min_cluster_size',
    'max_cluster_size',
    'outlier_count',
    'outlier_percentage',
    'silhouette_score',
    'silhouette_cosine',
    'avg_cluster_confidence',
    'tags_per_cluster',
  ],
  coverage: [
    'pages_processed',
    'pages_tagged',
    'pages_untagged',
    'total_tags_applied',
    'avg_tags_per_page',
    'min_tags_per_page',
    'max_tags_per_page',
    'coverage_percentage',
  ],
  errors: [
    'llm_failures',
    'llm_timeouts',
    'parsing_errors',
    'propagation_conflicts',
    'database_errors',
    'total_errors',
  ],
} as const

describe('the declaration of the run record', () => {
  it('has every field of the four groups', () => {
    for (const [group, names] of Object.entries(designed))
      expect(Object.keys(recordMetrics[group as keyof typeof designed])).toEqual(expect.arrayContaining([...names]))
  })

  it('names each metric once over all groups', () => {
    expect(new Set(metricList.map((metric) => metric.name)).size).toBe(metricList.length)
  })

  it('puts every metric into the schema of the record with its definition and unit', () => {
    const schema = RunRecord as unknown as {
      properties: Record<string, { properties: Record<string, { description: string }> }>
    }
    for (const metric of metricList)
      expect(schema.properties[metric.group]?.properties[metric.name]?.description).toBe(
        `${metric.definition} [${metric.unit}]`,
      )
  })

  it('speaks in its formulas of metrics, measures and job times only', () => {
    const known = new Set<string>([...Object.keys(measures), ...metricList.map((metric) => metric.name)])
    const words = new Set(['pages_by_tags', 'ended_at', 'started_at', 'llm_budget_tokens', 'llm_budget_usd'])
    for (const metric of metricList)
      for (const name of metric.formula.match(/[a-z]+(?:_[a-z]+)+/g) ?? [])
        expect(known.has(name) || words.has(name), `${metric.name}: ${name}`).toBe(true)
  })
})

describe('the declaration of log events', () => {
  it('checks a line as it is written', () => {
    const line = {
      time: '2026-01-24T10:00:00.000Z',
      level: 'WARNING',
      service: 'tagger',
      event: 'llm_timeout',
      wiki_id: 1,
      job_id: 'cluster_wiki_1_abc123',
      cluster_id: 4,
      attempt: 1,
      timeout_ms: 30_000,
      pid: 7,
    }
    expect(Value.Check(logLineSchema('llm_timeout'), line)).toBe(true)
    const { job_id: _, ...without } = line
    expect(Value.Check(logLineSchema('llm_timeout'), without)).toBe(false)
  })

  it('keeps CRITICAL for what aborts a pipeline or a service', () => {
    const critical = Object.entries(logEvents).filter(([, event]) => event.level === 'CRITICAL')
    expect(critical.map(([name]) => name)).toEqual(['service_failed', 'job_failed'])
  })
})
