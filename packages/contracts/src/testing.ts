import type { JobOptions } from './job-options.ts'
import type { RunRecord } from './record.ts'
import { metricGroups, metricList } from './record-metrics.ts'
import { stages } from './stages.ts'

export interface MadeUpRun {
  readonly wikiId: number
  readonly jobId: string
  readonly at: Date
  readonly options?: JobOptions
  /** Metrics by name; the others count up from 1 in the order of their declaration */
  readonly figures?: Readonly<Record<string, number | null>>
  readonly details?: Readonly<Record<string, unknown>>
}

/** The record of a run that nobody made, with every field filled. */
export function madeUpRecord({ wikiId, jobId, at, options = {}, figures = {}, details = {} }: MadeUpRun): RunRecord {
  const time = at.toISOString()
  const figureOf = (name: string, nth: number): number | null => figures[name] ?? (name in figures ? null : nth + 1)
  const values = metricList.map((metric, nth) => ({ ...metric, value: figureOf(metric.name, nth) }))
  const groups = Object.fromEntries(
    metricGroups.map((group) => [
      group,
      Object.fromEntries(values.filter((one) => one.group === group).map(({ name, value }) => [name, value])),
    ]),
  )
  const distribution = { count: 100, mean: 5, min: 1, p50: 4, p90: 9, p95: 11, p99: 20, max: 30 }
  const histogram = { bounds: [1, 2, 5, 10], counts: [1, 2, 3, 4, 5] }
  const stage = {
    started_at: time,
    ended_at: time,
    duration_seconds: 10,
    busy_seconds: 9,
    work_seconds: 8,
    samples: 1,
    batch_seconds: distribution,
    counters: {},
    gauges: {},
    batches: [],
  }
  return {
    version: 1,
    wiki_id: wikiId,
    job_id: jobId,
    created_at: time,
    completed_at: time,
    status: 'completed',
    samples: { received: 5, expected: 5 },
    ...groups,
    stages: Object.fromEntries(stages.map((name) => [name, stage])),
    distributions: {
      llm_latency_ms: distribution,
      cluster_sizes: distribution,
      cluster_confidence: distribution,
      tags_per_page: distribution,
    },
    histograms: { cluster_sizes: histogram, tags_per_page: histogram },
    provenance: {
      options,
      model: 'minilm',
      labeller_model: null,
      versions: { tagger: ['v1'] },
      details,
      config_hash: JSON.stringify(options),
    },
  } as unknown as RunRecord
}
