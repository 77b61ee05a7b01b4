import { createHash } from 'node:crypto'
import {
  type JobOptions,
  type MetricSample,
  type RunRecord,
  type Stage,
  type StageBreakdown,
  services,
  stages,
} from '@tagloom/contracts'
import { distributionOf, histogramOf, weightedDistribution } from './distribution.ts'
import { foldStage } from './fold-stage.ts'

/** What the fold must know of a job. */
export interface JobOfRecord {
  readonly wikiId: number
  readonly jobId: string
  readonly status: string
  readonly options: JobOptions
  /** Embedding model; null until the embed stage is planned */
  readonly model: string | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
  /** How many samples belong to it; null until it is completed */
  readonly expectedSamples: number | null
}

const clusterSizeBounds = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000]
const tagsPerPageBounds = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50]

/**
 * The record of a job as a pure function of its samples: their order, repeats and lateness leave no trace in it.
 * Of two samples with the same key the one that ended later counts.
 * @param now end of the job so far, while it runs
 */
export function foldRecord(job: JobOfRecord, samples: readonly MetricSample[], now: Date): RunRecord {
  const unique = uniqueSamples(samples)
  const byStage = Object.fromEntries(
    stages.map((stage) => [stage, unique.filter((sample) => sample.stage === stage)]),
  ) as Record<Stage, MetricSample[]>
  const folded = Object.fromEntries(stages.map((stage) => [stage, foldStage(byStage[stage])])) as Record<
    Stage,
    StageBreakdown
  >
  const total = secondsBetween(job.startedAt, job.endedAt ?? now)
  const latencies = valuesOf(byStage.label, 'llm_latency_ms')
  const confidences = valuesOf(byStage.label, 'cluster_confidence')
  const sizes = valuesOf(byStage.cluster, 'cluster_sizes')
  const pagesByTags = pagesByTagCount(folded.propagate.counters)
  const distributions = {
    llm_latency_ms: distributionOf(latencies),
    cluster_sizes: distributionOf(sizes),
    cluster_confidence: distributionOf(confidences),
    tags_per_page: weightedDistribution(pagesByTags),
  }
  const coverage = coverageOf(folded.propagate, distributions.tags_per_page)
  const cost = costOf(folded.label, job.options)
  return {
    version: 1,
    wiki_id: job.wikiId,
    job_id: job.jobId,
    created_at: job.createdAt.toISOString(),
    completed_at: job.status === 'completed' && job.endedAt ? job.endedAt.toISOString() : null,
    status: job.status,
    samples: { received: unique.length, expected: job.expectedSamples },
    performance: {
      total_pipeline_duration_seconds: total,
      embedding_duration_seconds: folded.embed.duration_seconds,
      clustering_duration_seconds: folded.cluster.duration_seconds,
      tag_generation_duration_seconds: folded.label.duration_seconds,
      propagation_duration_seconds: folded.propagate.duration_seconds,
      avg_llm_latency_ms: distributions.llm_latency_ms.mean,
      pages_per_second: ratio(coverage.pages_processed, total),
      pages_embedded: counted(folded.embed, 'pages_embedded'),
      pages_reused: counted(folded.embed, 'pages_reused'),
    },
    quality: qualityOf(folded.cluster, folded.label, distributions.cluster_confidence.mean),
    coverage,
    errors: errorsOf(folded, coverage.pages_processed, cost.llm_calls),
    cost,
    clustering: clusteringOf(folded.cluster),
    stages: folded,
    distributions,
    histograms: {
      cluster_sizes: histogramOf(
        sizes.map((size) => [size, 1] as const),
        clusterSizeBounds,
      ),
      tags_per_page: histogramOf(pagesByTags, tagsPerPageBounds),
    },
    provenance: provenanceOf(job, unique),
  }
}

/** Sorted by stage and batch; one for each key. */
function uniqueSamples(samples: readonly MetricSample[]): MetricSample[] {
  const latest = new Map<string, MetricSample>()
  for (const sample of samples) {
    const key = `${stages.indexOf(sample.stage)}/${batchOrder(sample.batch)}`
    const known = latest.get(key)
    if (!known || isLater(sample, known)) latest.set(key, sample)
  }
  return [...latest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sample]) => sample)
}

/** Batch 10 after batch 9, named steps after the numbers. */
const batchOrder = (batch: string): string => (/^\d{1,12}$/.test(batch) ? batch.padStart(12, '0') : batch)

/** Ends later; of two that end together, the greater JSON: any rule does that does not hang on which came first. */
function isLater(a: MetricSample, b: MetricSample): boolean {
  const order = Date.parse(a.ended_at) - Date.parse(b.ended_at)
  return order !== 0 ? order > 0 : canonical(a) > canonical(b)
}

const valuesOf = (samples: readonly MetricSample[], name: string): number[] =>
  samples.flatMap((sample) => sample.values?.[name] ?? [])

const bucket = 'pages_by_tags.'
const pagesByTagCount = (counters: Record<string, number>): Map<number, number> =>
  new Map(
    Object.entries(counters)
      .filter(([name]) => name.startsWith(bucket))
      .map(([name, pages]) => [Number(name.slice(bucket.length)), pages]),
  )

/** 0 where the stage ran and counted none, null where it sent nothing yet. */
const counted = (stage: StageBreakdown, name: string): number | null =>
  stage.samples === 0 ? null : (stage.counters[name] ?? 0)

const gauge = (stage: StageBreakdown, name: string): number | null => stage.gauges[name] ?? null

const ratio = (part: number | null, whole: number | null): number | null =>
  part === null || whole === null || whole === 0 ? null : part / whole

const secondsBetween = (from: Date | null, to: Date): number | null =>
  from ? Math.max(0, to.getTime() - from.getTime()) / 1000 : null

function qualityOf(cluster: StageBreakdown, label: StageBreakdown, confidence: number | null): RunRecord['quality'] {
  const clustered = gauge(cluster, 'pages_clustered')
  const outliers = gauge(cluster, 'outlier_count')
  const pages = clustered === null || outliers === null ? null : clustered + outliers
  const share = ratio(outliers, pages)
  return {
    cluster_count: gauge(cluster, 'cluster_count'),
    avg_cluster_size: ratio(clustered, gauge(cluster, 'cluster_count')),
    min_cluster_size: gauge(cluster, 'min_cluster_size'),
    max_cluster_size: gauge(cluster, 'max_cluster_size'),
    outlier_count: outliers,
    outlier_percentage: share === null ? null : 100 * share,
    silhouette_score: gauge(cluster, 'silhouette_score'),
    silhouette_cosine: gauge(cluster, 'silhouette_cosine'),
    avg_cluster_confidence: confidence,
    tags_per_cluster: ratio(counted(label, 'cluster_tags'), counted(label, 'clusters_labelled')),
  }
}

function clusteringOf(cluster: StageBreakdown): RunRecord['clustering'] {
  const clustered = gauge(cluster, 'pages_clustered')
  const outliers = gauge(cluster, 'outlier_count')
  const pages = clustered === null || outliers === null ? null : clustered + outliers
  const before = ratio(gauge(cluster, 'outliers_before_attaching'), pages)
  return {
    outlier_percentage_before_attaching: before === null ? null : 100 * before,
    churn_percentage: gauge(cluster, 'churn_percentage'),
    clusters_continued: gauge(cluster, 'clusters_continued'),
    clusters_born: gauge(cluster, 'clusters_born'),
    clusters_split: gauge(cluster, 'clusters_split'),
    clusters_merged: gauge(cluster, 'clusters_merged'),
    clusters_died: gauge(cluster, 'clusters_died'),
    gold_ami: gauge(cluster, 'gold_ami'),
    gold_ari: gauge(cluster, 'gold_ari'),
    gold_purity: gauge(cluster, 'gold_purity'),
    seed_stability_ari: gauge(cluster, 'seed_stability_ari'),
  }
}

function coverageOf(
  propagate: StageBreakdown,
  tags: { min: number | null; max: number | null },
): RunRecord['coverage'] {
  const processed = counted(propagate, 'pages_processed')
  const tagged = counted(propagate, 'pages_tagged')
  const applied = counted(propagate, 'tags_applied')
  const share = ratio(tagged, processed)
  return {
    pages_processed: processed,
    pages_tagged: tagged,
    pages_untagged: processed === null || tagged === null ? null : processed - tagged,
    total_tags_applied: applied,
    avg_tags_per_page: ratio(applied, processed),
    min_tags_per_page: tags.min,
    max_tags_per_page: tags.max,
    avg_tags_per_tagged_page: ratio(applied, tagged),
    coverage_percentage: share === null ? null : 100 * share,
  }
}

function errorsOf(
  folded: Record<Stage, StageBreakdown>,
  pages: number | null,
  calls: number | null,
): RunRecord['errors'] {
  const over = (name: string): number => stages.reduce((total, stage) => total + (folded[stage].counters[name] ?? 0), 0)
  const kinds = {
    llm_failures: over('llm_failures'),
    llm_timeouts: over('llm_timeouts'),
    parsing_errors: over('parsing_errors'),
    propagation_conflicts: over('propagation_conflicts'),
    database_errors: over('database_errors'),
  }
  const total = Object.values(kinds).reduce((a, b) => a + b, 0)
  const rate = ratio(total - kinds.propagation_conflicts, (pages ?? 0) + (calls ?? 0))
  return { ...kinds, total_errors: total, error_rate_percentage: rate === null ? null : 100 * rate }
}

function costOf(label: StageBreakdown, options: JobOptions): RunRecord['cost'] {
  const tokensIn = counted(label, 'llm_tokens_in')
  const tokens = tokensIn === null ? null : tokensIn + (counted(label, 'llm_tokens_out') ?? 0)
  const usd = counted(label, 'llm_cost_usd')
  const shares = [ratio(tokens, options.llm_budget_tokens ?? null), ratio(usd, options.llm_budget_usd ?? null)]
  const known = shares.filter((share) => share !== null)
  return {
    llm_calls: counted(label, 'llm_calls'),
    llm_tokens: tokens,
    llm_cost_usd: usd,
    llm_budget_percentage: known.length ? 100 * Math.max(...known) : null,
  }
}

function provenanceOf({ options, model }: JobOfRecord, samples: readonly MetricSample[]): RunRecord['provenance'] {
  const { labeller_model: named, ...details } = detailsOf(samples)
  const labeller_model = typeof named === 'string' ? named : null
  // Whether the run was dry, and how often it was tried again, changes nothing in it; details are what came about, not what was asked.
  const { dry_run: _, seed_stability: __, ...asked } = options
  const hash = createHash('sha256').update(canonical({ asked, model, labeller_model })).digest('hex')
  return { options, model, labeller_model, versions: versionsOf(samples), details, config_hash: hash }
}

function detailsOf(samples: readonly MetricSample[]): Record<string, unknown> {
  const details: Record<string, unknown> = {}
  for (const sample of samples) Object.assign(details, sample.details)
  return details
}

function versionsOf(samples: readonly MetricSample[]): Record<string, string[]> {
  const seen = samples.flatMap(({ service, version }) => (version === undefined ? [] : [{ service, version }]))
  return Object.fromEntries(
    services
      .map((service) => [service, seen.filter((one) => one.service === service).map(({ version }) => version)] as const)
      .filter(([, versions]) => versions.length > 0)
      .map(([service, versions]) => [service, [...new Set(versions)].sort()]),
  )
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
