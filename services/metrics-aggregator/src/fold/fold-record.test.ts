import { type MetricSample, RunRecord } from '@tagloom/contracts'
import fc from 'fast-check'
import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { foldRecord, type JobOfRecord } from './fold-record.ts'

const start = Date.parse('2026-01-24T10:00:00.000Z')
const at = (seconds: number): string => new Date(start + seconds * 1000).toISOString()

function sample(
  of: Partial<MetricSample> & Pick<MetricSample, 'stage' | 'batch'>,
  from: number,
  to: number,
): MetricSample {
  return {
    wiki_id: 1,
    job_id: 'cluster_wiki_1_abc',
    service: 'tagger',
    started_at: at(from),
    ended_at: at(to),
    duration_seconds: to - from,
    counters: {},
    gauges: {},
    ...of,
  }
}

const job: JobOfRecord = {
  wikiId: 1,
  jobId: 'cluster_wiki_1_abc',
  status: 'completed',
  options: { labeller: 'llm', llm_budget_tokens: 1000 },
  model: 'minilm',
  createdAt: new Date(start - 5000),
  startedAt: new Date(start),
  endedAt: new Date(start + 20_000),
  expectedSamples: 8,
}

const samples: MetricSample[] = [
  sample({ stage: 'embed', batch: 'plan', counters: { pages_reused: 6 }, details: { model: 'minilm' } }, 0, 1),
  sample({ stage: 'embed', batch: '0', counters: { pages_embedded: 3 } }, 1, 3),
  sample({ stage: 'embed', batch: '1', counters: { pages_embedded: 1, database_errors: 1 } }, 2, 5),
  sample(
    {
      stage: 'cluster',
      batch: 'run',
      service: 'clusterer',
      gauges: {
        cluster_count: 2,
        pages_clustered: 8,
        outlier_count: 2,
        min_cluster_size: 3,
        max_cluster_size: 5,
        silhouette_score: 0.42,
        silhouette_cosine: 0.11,
        outliers_before_attaching: 4,
        clusters_continued: 1,
        clusters_born: 1,
        clusters_split: 0,
        clusters_merged: 0,
        clusters_died: 2,
        churn_percentage: 12.5,
        gold_ami: 0.5,
        gold_ari: 0.4,
        gold_purity: 0.75,
      },
      values: { cluster_sizes: [3, 5] },
    },
    6,
    8,
  ),
  sample(
    {
      stage: 'label',
      batch: '0',
      counters: { llm_calls: 2, llm_failures: 1, llm_timeouts: 1, llm_tokens_in: 300, llm_tokens_out: 100 },
      values: { llm_latency_ms: [100, 300] },
    },
    8,
    10,
  ),
  sample(
    {
      stage: 'label',
      batch: 'resolve',
      counters: { clusters_labelled: 2, cluster_tags: 7 },
      values: { cluster_confidence: [0.5, 0.75] },
    },
    10,
    12,
  ),
  sample(
    {
      stage: 'propagate',
      batch: '0',
      service: 'propagator',
      counters: { pages_processed: 6, pages_tagged: 5, tags_applied: 15, 'pages_by_tags.0': 1, 'pages_by_tags.3': 5 },
    },
    13,
    15,
  ),
  sample(
    {
      stage: 'propagate',
      batch: '1',
      service: 'propagator',
      counters: {
        pages_processed: 4,
        pages_tagged: 4,
        tags_applied: 8,
        propagation_conflicts: 2,
        'pages_by_tags.2': 4,
      },
    },
    14,
    18,
  ),
]

const now = new Date(start + 99_000)

describe('the record of a job', () => {
  const record = foldRecord(job, samples, now)

  it('has the figures worked out by hand', () => {
    expect(record.performance).toEqual({
      total_pipeline_duration_seconds: 20,
      embedding_duration_seconds: 5,
      clustering_duration_seconds: 2,
      tag_generation_duration_seconds: 4,
      propagation_duration_seconds: 5,
      avg_llm_latency_ms: 200,
      pages_per_second: 0.5,
      pages_embedded: 4,
      pages_reused: 6,
    })
    expect(record.quality).toEqual({
      cluster_count: 2,
      avg_cluster_size: 4,
      min_cluster_size: 3,
      max_cluster_size: 5,
      outlier_count: 2,
      outlier_percentage: 20,
      silhouette_score: 0.42,
      silhouette_cosine: 0.11,
      avg_cluster_confidence: 0.625,
      tags_per_cluster: 3.5,
    })
    expect(record.coverage).toEqual({
      pages_processed: 10,
      pages_tagged: 9,
      pages_untagged: 1,
      total_tags_applied: 23,
      avg_tags_per_page: 2.3,
      min_tags_per_page: 0,
      max_tags_per_page: 3,
      avg_tags_per_tagged_page: 23 / 9,
      coverage_percentage: 90,
    })
    expect(record.errors).toEqual({
      llm_failures: 1,
      llm_timeouts: 1,
      parsing_errors: 0,
      propagation_conflicts: 2,
      database_errors: 1,
      total_errors: 5,
      error_rate_percentage: 25,
    })
    expect(record.cost).toEqual({ llm_calls: 2, llm_tokens: 400, llm_cost_usd: 0, llm_budget_percentage: 40 })
    expect(record.clustering).toEqual({
      outlier_percentage_before_attaching: 40,
      churn_percentage: 12.5,
      clusters_continued: 1,
      clusters_born: 1,
      clusters_split: 0,
      clusters_merged: 0,
      clusters_died: 2,
      gold_ami: 0.5,
      gold_ari: 0.4,
      gold_purity: 0.75,
      seed_stability_ari: null,
    })
    expect(record.stages.embed.busy_seconds).toBe(5)
    expect(record.stages.embed.work_seconds).toBe(6)
    expect(record.histograms.tags_per_page.counts.slice(0, 5)).toEqual([1, 0, 4, 5, 0])
    expect(record.distributions.tags_per_page).toMatchObject({ count: 10, p50: 2.5, mean: 2.3 })
  })

  it('follows its schema, before the first sample as well', () => {
    expect(Value.Check(RunRecord, record)).toBe(true)
    const empty = foldRecord({ ...job, status: 'running', endedAt: null, expectedSamples: null }, [], now)
    expect([...Value.Errors(RunRecord, empty)]).toEqual([])
    expect(empty.quality.cluster_count).toBeNull()
    expect(empty.performance.total_pipeline_duration_seconds).toBe(99)
  })

  it('is the same whatever the order, repeats and older versions of its samples', () => {
    const older = samples.map((one) => ({ ...one, ended_at: at(-1), counters: { pages_processed: 999 }, gauges: {} }))
    const everything = [...samples, ...samples, ...older]
    fc.assert(
      fc.property(fc.shuffledSubarray(everything, { minLength: everything.length }), (shuffled) => {
        expect(foldRecord(job, shuffled, now)).toEqual(record)
      }),
      { numRuns: 50 },
    )
  })

  it('is the same to the last bit for sums of fractions in any order', () => {
    const fractions = Array.from({ length: 40 }, (_, i) =>
      sample({ stage: 'label', batch: String(i), counters: { llm_cost_usd: 0.1 ** ((i % 7) + 1) } }, i, i + 1),
    )
    const expected = JSON.stringify(foldRecord(job, fractions, now))
    expect(JSON.stringify(foldRecord(job, [...fractions].reverse(), now))).toBe(expected)
  })

  it('has equal config hashes exactly when what was asked and the model are equal', () => {
    const hash = (more: Partial<JobOfRecord>) => foldRecord({ ...job, ...more }, samples, now).provenance.config_hash
    const { config_hash } = record.provenance
    expect(hash({ options: { llm_budget_tokens: 1000, labeller: 'llm', dry_run: true, seed_stability: 3 } })).toBe(
      config_hash,
    )
    expect(hash({ options: { llm_budget_tokens: 1001, labeller: 'llm' } })).not.toBe(config_hash)
    expect(hash({ model: 'other' })).not.toBe(config_hash)
    const byModel = (name: string) =>
      samples.map((one) => (one.stage === 'label' ? { ...one, details: { labeller_model: name } } : one))
    const { provenance } = foldRecord(job, byModel('gpt-x'), now)
    expect(provenance.labeller_model).toBe('gpt-x')
    expect(provenance.config_hash).not.toBe(config_hash)
    expect(foldRecord(job, byModel('gpt-y'), now).provenance.config_hash).not.toBe(provenance.config_hash)
  })

  it('names the versions of the code that took part, all of them where replicas differed', () => {
    expect(record.provenance.versions).toEqual({})
    const mixed = samples.map((one, nth) => ({ ...one, version: nth % 2 ? 'v1' : 'v2' }))
    const { versions, config_hash } = foldRecord(job, mixed, now).provenance
    expect(versions).toEqual({ clusterer: ['v1'], propagator: ['v1', 'v2'], tagger: ['v1', 'v2'] })
    expect(config_hash).toBe(record.provenance.config_hash)
  })
})
