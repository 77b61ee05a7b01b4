import type { MetricSample } from './metric-sample.ts'
import type { Stage } from './stages.ts'

/**
 * What the stages put into their samples, declared once: the names that `increment`, `setGauge` and `observe` take.
 * counter: added over the samples of a job. gauge: a stage-wide figure, of which the sample that ended last counts.
 * values: single observations, for means and percentiles.
 */
interface MeasureDeclaration {
  readonly kind: 'counter' | 'gauge' | 'values'
  /** The stage that takes it, or `any` */
  readonly stage: Stage | 'any'
  readonly description: string
  /** Counters are whole numbers but for those that say so */
  readonly fractional?: true
}

export const measures = {
  pages_embedded: { kind: 'counter', stage: 'embed', description: 'Pages whose vector this batch made' },
  pages_reused: { kind: 'counter', stage: 'embed', description: 'Pages whose stored vector is still right (plan)' },
  pages_without_text: { kind: 'counter', stage: 'embed', description: 'Pages with nothing to embed (plan or batch)' },
  tokens_embedded: { kind: 'counter', stage: 'embed', description: 'Tokens that went through the model' },
  tokens_padded: { kind: 'counter', stage: 'embed', description: 'The same with what each batch was padded by' },
  cluster_count: { kind: 'gauge', stage: 'cluster', description: 'Clusters of the chosen layer' },
  pages_clustered: { kind: 'gauge', stage: 'cluster', description: 'Pages in a cluster of the chosen layer' },
  outlier_count: { kind: 'gauge', stage: 'cluster', description: 'Pages in none' },
  min_cluster_size: { kind: 'gauge', stage: 'cluster', description: 'Pages of the smallest cluster' },
  max_cluster_size: { kind: 'gauge', stage: 'cluster', description: 'Pages of the largest cluster' },
  layers: { kind: 'gauge', stage: 'cluster', description: 'Layers of the hierarchy that are stored' },
  clusters_matched: { kind: 'gauge', stage: 'cluster', description: "Clusters matched with one of the previous run's" },
  outliers_before_attaching: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Pages in none before the second pass attached the near ones',
  },
  silhouette_cosine_standard_error: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Of silhouette_cosine; 0 where it is over all pages',
  },
  density_inside: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Mean similarity of the pages in clusters to their neighbours; left out where there are none',
  },
  density_outside: { kind: 'gauge', stage: 'cluster', description: 'The same of the pages in none' },
  left_out_share: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Share of the pages that no cluster would take if they were new: what drift is measured against',
  },
  seed_stability_ari: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Mean adjusted Rand index with the clusters of other seeds; only where the job asked (seed_stability)',
  },
  seed_stability_ari_least: { kind: 'gauge', stage: 'cluster', description: 'The least of them' },
  clusters_continued: { kind: 'gauge', stage: 'cluster', description: 'Clusters that are a topic of the run before' },
  clusters_born: { kind: 'gauge', stage: 'cluster', description: 'Clusters without a lineage' },
  clusters_split: { kind: 'gauge', stage: 'cluster', description: 'Clusters that left a topic that goes on' },
  clusters_merged: { kind: 'gauge', stage: 'cluster', description: 'Topics that took in most of another' },
  clusters_died: { kind: 'gauge', stage: 'cluster', description: 'Topics of the run before that end' },
  churn_percentage: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Share of the pages of both runs that changed their topic; left out without a run before',
  },
  silhouette_standard_error: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Of silhouette_score; 0 where it is over all pages',
  },
  gold_ami: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Adjusted mutual information with the known classes of the pages, where there are any',
  },
  gold_ari: { kind: 'gauge', stage: 'cluster', description: 'Adjusted Rand index with the known classes' },
  gold_purity: { kind: 'gauge', stage: 'cluster', description: 'Share of pages of their cluster’s commonest class' },
  silhouette_score: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'Mean silhouette without outliers in the space of the clustering; left out where it is not defined',
  },
  silhouette_cosine: {
    kind: 'gauge',
    stage: 'cluster',
    description: 'The same on the embeddings; left out where it is not defined',
  },
  cluster_sizes: { kind: 'values', stage: 'cluster', description: 'Pages of each cluster of the chosen layer' },
  llm_calls: { kind: 'counter', stage: 'label', description: 'Calls of the labeller, each try' },
  llm_failures: {
    kind: 'counter',
    stage: 'label',
    description: 'Calls that ended with an error other than a timeout, or with the process that made them',
  },
  llm_timeouts: { kind: 'counter', stage: 'label', description: 'Calls given up for taking too long' },
  parsing_errors: { kind: 'counter', stage: 'label', description: 'Answers that could not be read as labels' },
  llm_tokens_in: { kind: 'counter', stage: 'label', description: 'Tokens sent to a language model' },
  llm_tokens_out: { kind: 'counter', stage: 'label', description: 'Tokens received from it' },
  llm_cost_usd: {
    kind: 'counter',
    stage: 'label',
    description: 'What the calls cost by the price table',
    fractional: true,
  },
  llm_latency_ms: { kind: 'values', stage: 'label', description: 'Time of each call of the labeller' },
  clusters_labelled: { kind: 'counter', stage: 'label', description: 'Clusters that have their final tags (resolve)' },
  cluster_tags: { kind: 'counter', stage: 'label', description: 'Tags on clusters, over all of them (resolve)' },
  tags_created: { kind: 'counter', stage: 'label', description: 'Tags that are new in the vocabulary (resolve)' },
  cluster_confidence: {
    kind: 'values',
    stage: 'label',
    description: "Confidence of each cluster's best tag, 0 to 1 (resolve)",
  },
  pages_processed: { kind: 'counter', stage: 'propagate', description: 'Pages of the batch' },
  pages_tagged: { kind: 'counter', stage: 'propagate', description: 'Pages of the batch that got an automatic tag' },
  tags_applied: { kind: 'counter', stage: 'propagate', description: 'Page tags that the batch wrote' },
  propagation_conflicts: {
    kind: 'counter',
    stage: 'propagate',
    description: "Tags withheld because a person's decision forbids them",
  },
  cache_hits: {
    kind: 'counter',
    stage: 'any',
    description: 'Lookups in a query cache (ENABLE_QUERY_CACHING) that it could answer: label, propagate',
  },
  cache_misses: { kind: 'counter', stage: 'any', description: 'Lookups that it could not' },
  database_errors: {
    kind: 'counter',
    stage: 'any',
    description:
      'Transactions that failed (the server away, a deadlock, a statement refused), whether or not trying again helped',
  },
} as const satisfies Record<string, MeasureDeclaration>

type Measures = typeof measures
type Of<Kind extends MeasureDeclaration['kind']> = {
  [Name in keyof Measures]: Measures[Name]['kind'] extends Kind ? Name : never
}[keyof Measures]

/** The counters that may have a fraction: what counts money */
export const fractionalCounters: readonly string[] = Object.entries<MeasureDeclaration>(measures).flatMap(
  ([name, { fractional }]) => (fractional ? [name] : []),
)

/** Counters with a bucket behind a dot: `pages_by_tags.3` counts the pages of the batch that got exactly 3 tags. */
export type BucketCounter = `pages_by_tags.${number}`
export type CounterName = Of<'counter'> | BucketCounter
export type GaugeName = Of<'gauge'>
export type ValuesName = Of<'values'>

/** Identity of a sample: a second one with the same key replaces the first. */
export const sampleKey = (sample: Pick<MetricSample, 'job_id' | 'stage' | 'batch'>): string =>
  `${sample.job_id}/${sample.stage}/${sample.batch}`
