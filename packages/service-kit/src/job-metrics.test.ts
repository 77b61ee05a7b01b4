import { MetricSample } from '@tagloom/contracts'
import { Value } from 'typebox/value'
import { expect, it } from 'vitest'
import { JobMetrics } from './job-metrics.ts'

const of = {
  wikiId: 1,
  jobId: 'cluster_wiki_1_abc',
  service: 'tagger',
  enabled: true,
  version: 'v1',
  databaseErrors: 0,
} as const

it('counts the failed transactions of its message', () => {
  const metrics = new JobMetrics({ ...of, databaseErrors: 2 })
  metrics.startStage('label', 7)
  expect(metrics.toJSON().counters).toEqual({ database_errors: 2 })
})

it('becomes the sample of its batch, as the contracts declare it', () => {
  const metrics = new JobMetrics(of)
  metrics.startStage('label', 7)
  metrics.increment('llm_calls')
  metrics.increment('llm_calls', 2)
  metrics.setGauge('layers', 2)
  metrics.setGauge('layers', 3)
  metrics.observe('llm_latency_ms', 12.5)
  metrics.setDetail('method', 'keyphrases')
  metrics.endStage()
  const sample = metrics.toJSON()
  expect(Value.Check(MetricSample, sample)).toBe(true)
  expect(Object.keys(sample), 'fields in the order of the schema').toEqual(Object.keys(MetricSample.properties))
  expect(sample).toMatchObject({
    wiki_id: 1,
    job_id: of.jobId,
    service: 'tagger',
    version: 'v1',
    stage: 'label',
    batch: '7',
    counters: { llm_calls: 3 },
    gauges: { layers: 3 },
    values: { llm_latency_ms: [12.5] },
    details: { method: 'keyphrases' },
  })
  expect(sample.duration_seconds).toBeGreaterThanOrEqual(0)
  expect(metrics.toJSON()).toEqual(sample)
})

it('owes the bus one message, keyed by job, stage and batch', () => {
  const metrics = new JobMetrics(of)
  metrics.startStage('embed', 'plan')
  const [message, ...more] = metrics.toMessages({ source: 'tagger' })
  expect(more).toEqual([])
  expect(message).toMatchObject({ subject: 'tagloom.v1.1.metrics.sampled', messageId: `${of.jobId}.sample.embed.plan` })
})

it('sends nothing and collects nothing where metrics are off', () => {
  const metrics = new JobMetrics({ ...of, enabled: false })
  metrics.startStage('embed', 1)
  metrics.increment('pages_embedded', 10)
  expect(metrics.toMessages({ source: 'tagger' })).toEqual([])
  expect(metrics.toJSON().counters).toEqual({})
})

it('keeps at most 10,000 observations of a measure', () => {
  const metrics = new JobMetrics(of)
  metrics.startStage('cluster', 'cluster')
  for (let i = 0; i < 10_001; i++) metrics.observe('cluster_sizes', i)
  expect(metrics.toJSON().values?.cluster_sizes).toHaveLength(10_000)
})

it('says when a stage ends that never began', () => {
  expect(() => new JobMetrics(of).toJSON()).toThrow(/expected startStage/)
})
