/**
 * Every metric of a run record, declared once. From this come the schema of the record, the tables of docs/metrics.md,
 * which of two runs is better (`better`), and what an alert rule may name.
 * The measures that the formulas speak of are declared in record-measures.ts.
 * Long, since it is the one list that is read and searched as a whole; the groups are in the order of the record.
 */

export interface MetricDeclaration {
  readonly unit:
    | 'seconds'
    | 'ms'
    | 'pages'
    | 'pages/s'
    | 'clusters'
    | 'tags'
    | 'percent'
    | 'score'
    | 'errors'
    | 'calls'
    | 'tokens'
    | 'USD'
  /** Which way is better; `neither` where a change is only a difference */
  readonly better: 'higher' | 'lower' | 'neither'
  readonly definition: string
  readonly formula: string
  /** The service and step that takes the measures */
  readonly taken: string
  readonly example: number
}

type Group = Readonly<Record<string, MetricDeclaration>>

const stageDuration = (stage: string, what: string, taken: string, example: number) =>
  ({
    unit: 'seconds',
    better: 'lower',
    definition: `Wall time of ${what}, over all replicas; with a retry it holds the pause too (busy_seconds of the stage does not)`,
    formula: `max(ended_at) − min(started_at) over the samples of stage ${stage}`,
    taken,
    example,
  }) as const satisfies MetricDeclaration

const sumOf = (measure: string, definition: string, unit: MetricDeclaration['unit'], taken: string, example: number) =>
  ({
    unit,
    better: 'lower',
    definition,
    formula: `Σ ${measure} over all samples`,
    taken,
    example,
  }) as const satisfies MetricDeclaration

const performance = {
  total_pipeline_duration_seconds: {
    unit: 'seconds',
    better: 'lower',
    definition:
      'Wall time from the start of the job (its wait in the queue left out) to its completion, with the pause before a retry; so far, while it runs',
    formula: 'job.ended_at − job.started_at',
    taken: 'gateway (started_at), propagator (ended_at)',
    example: 245.3,
  },
  embedding_duration_seconds: stageDuration('embed', 'embedding', 'tagger, each embed batch and its plan', 31.2),
  clustering_duration_seconds: stageDuration('cluster', 'neighbours, layers and silhouette', 'clusterer', 12.5),
  tag_generation_duration_seconds: stageDuration(
    'label',
    'naming the clusters',
    'tagger, each label batch, plan and resolve',
    180.2,
  ),
  propagation_duration_seconds: stageDuration(
    'propagate',
    'scoring and writing page tags',
    'propagator, each propagate batch and its plan',
    52.6,
  ),
  avg_llm_latency_ms: {
    unit: 'ms',
    better: 'lower',
    definition: 'Mean time of one labeller call, whatever stands behind it, failed ones included; null without a call',
    formula: 'mean(llm_latency_ms)',
    taken: 'tagger, around each call of the labeller',
    example: 840.5,
  },
  pages_per_second: {
    unit: 'pages/s',
    better: 'higher',
    definition: 'Pages brought through the whole pipeline each second',
    formula: 'pages_processed / total_pipeline_duration_seconds',
    taken: 'metrics-aggregator',
    example: 2.04,
  },
  pages_embedded: {
    unit: 'pages',
    better: 'neither',
    definition: 'Pages whose vector was made by this job because they are new or changed',
    formula: 'Σ pages_embedded over the samples of stage embed',
    taken: 'tagger, each embed batch',
    example: 37,
  },
  pages_reused: {
    unit: 'pages',
    better: 'neither',
    definition: 'Pages whose vector of an earlier job was still right',
    formula: 'Σ pages_reused over the samples of stage embed',
    taken: 'tagger, embed plan',
    example: 463,
  },
} as const satisfies Group

const quality = {
  cluster_count: {
    unit: 'clusters',
    better: 'neither',
    definition: 'Clusters of the chosen layer; outliers make none',
    formula: 'last cluster_count',
    taken: 'clusterer',
    example: 25,
  },
  avg_cluster_size: {
    unit: 'pages',
    better: 'neither',
    definition: 'Mean number of pages in a cluster of the chosen layer',
    formula: 'pages_clustered / cluster_count',
    taken: 'clusterer',
    example: 17.54,
  },
  min_cluster_size: {
    unit: 'pages',
    better: 'neither',
    definition: 'Pages of the smallest cluster of the chosen layer; null without one',
    formula: 'last min_cluster_size',
    taken: 'clusterer',
    example: 5,
  },
  max_cluster_size: {
    unit: 'pages',
    better: 'neither',
    definition: 'Pages of the largest cluster of the chosen layer; null without one',
    formula: 'last max_cluster_size',
    taken: 'clusterer',
    example: 71,
  },
  outlier_count: {
    unit: 'pages',
    better: 'lower',
    definition: 'Pages in no cluster of the chosen layer',
    formula: 'last outlier_count',
    taken: 'clusterer',
    example: 61,
  },
  outlier_percentage: {
    unit: 'percent',
    better: 'lower',
    definition: 'Share of the clustered and unclustered pages that are outliers',
    formula: '100 × outlier_count / (pages_clustered + outlier_count)',
    taken: 'clusterer',
    example: 12.3,
  },
  silhouette_score: {
    unit: 'score',
    better: 'higher',
    definition:
      'Mean silhouette, −1 to 1, without outliers, in the space in which the clusters were formed; null below two clusters',
    formula: 'last silhouette_score',
    taken: 'clusterer',
    example: 0.42,
  },
  silhouette_cosine: {
    unit: 'score',
    better: 'higher',
    definition: 'The same on the embeddings themselves by cosine distance, where real wikis score 0.05 to 0.18',
    formula: 'last silhouette_cosine',
    taken: 'clusterer',
    example: 0.11,
  },
  avg_cluster_confidence: {
    unit: 'score',
    better: 'higher',
    definition: 'Mean over clusters of the confidence of their best tag, 0 to 1',
    formula: 'mean(cluster_confidence)',
    taken: 'tagger, label resolve',
    example: 0.71,
  },
  tags_per_cluster: {
    unit: 'tags',
    better: 'neither',
    definition: 'Mean number of tags that a cluster got',
    formula: 'Σ cluster_tags / Σ clusters_labelled',
    taken: 'tagger, label resolve',
    example: 4.6,
  },
} as const satisfies Group

const coverage = {
  pages_processed: {
    unit: 'pages',
    better: 'neither',
    definition: 'Pages of the wiki that the job went through',
    formula: 'Σ pages_processed over the samples of stage propagate',
    taken: 'propagator, each propagate batch',
    example: 500,
  },
  pages_tagged: {
    unit: 'pages',
    better: 'higher',
    definition: 'Pages that got at least one automatic tag by this job',
    formula: 'Σ pages_tagged over the samples of stage propagate',
    taken: 'propagator, each propagate batch',
    example: 485,
  },
  pages_untagged: {
    unit: 'pages',
    better: 'lower',
    definition: 'Pages that got none',
    formula: 'pages_processed − pages_tagged',
    taken: 'metrics-aggregator',
    example: 15,
  },
  total_tags_applied: {
    unit: 'tags',
    better: 'neither',
    definition: 'Automatic page tags that this job wrote; what people added is not counted',
    formula: 'Σ tags_applied over the samples of stage propagate',
    taken: 'propagator, each propagate batch',
    example: 2600,
  },
  avg_tags_per_page: {
    unit: 'tags',
    better: 'higher',
    definition: 'Mean number of automatic tags of a page, untagged pages included',
    formula: 'total_tags_applied / pages_processed',
    taken: 'metrics-aggregator',
    example: 5.2,
  },
  min_tags_per_page: {
    unit: 'tags',
    better: 'higher',
    definition: 'Fewest automatic tags of a page; 0 as soon as one page is untagged',
    formula: 'least n with pages_by_tags.n > 0',
    taken: 'propagator, each propagate batch',
    example: 0,
  },
  max_tags_per_page: {
    unit: 'tags',
    better: 'neither',
    definition: 'Most automatic tags of a page',
    formula: 'greatest n with pages_by_tags.n > 0',
    taken: 'propagator, each propagate batch',
    example: 8,
  },
  avg_tags_per_tagged_page: {
    unit: 'tags',
    better: 'higher',
    definition: 'Mean number of automatic tags of the pages that have any',
    formula: 'total_tags_applied / pages_tagged',
    taken: 'metrics-aggregator',
    example: 5.36,
  },
  coverage_percentage: {
    unit: 'percent',
    better: 'higher',
    definition: 'Share of the processed pages that got a tag',
    formula: '100 × pages_tagged / pages_processed',
    taken: 'metrics-aggregator',
    example: 97,
  },
} as const satisfies Group

const errors = {
  llm_failures: sumOf(
    'llm_failures',
    'Labeller calls that ended with an error other than a timeout; each try counts',
    'errors',
    'tagger',
    2,
  ),
  llm_timeouts: sumOf(
    'llm_timeouts',
    'Labeller calls that were given up for taking too long; each try counts',
    'errors',
    'tagger',
    0,
  ),
  parsing_errors: sumOf('parsing_errors', 'Labeller answers that could not be read as labels', 'errors', 'tagger', 0),
  propagation_conflicts: sumOf(
    'propagation_conflicts',
    "Automatic tags that were withheld because a person's decision on the page or the tag forbids them",
    'errors',
    'propagator, each propagate batch',
    0,
  ),
  database_errors: sumOf(
    'database_errors',
    'Transactions of the job that failed: the server away, a deadlock with another, a statement refused; whether or not trying again helped',
    'errors',
    'every service',
    0,
  ),
  total_errors: {
    unit: 'errors',
    better: 'lower',
    definition: 'All of the above',
    formula: 'llm_failures + llm_timeouts + parsing_errors + propagation_conflicts + database_errors',
    taken: 'metrics-aggregator',
    example: 2,
  },
  error_rate_percentage: {
    unit: 'percent',
    better: 'lower',
    definition: 'Errors (conflicts left out: they are decisions kept) to each hundred pieces of work',
    formula: '100 × (total_errors − propagation_conflicts) / (llm_calls + pages_processed)',
    taken: 'metrics-aggregator',
    example: 0.4,
  },
} as const satisfies Group

const cost = {
  llm_calls: sumOf('llm_calls', 'Calls of the labeller, whatever stands behind it', 'calls', 'tagger', 25),
  llm_tokens: {
    unit: 'tokens',
    better: 'lower',
    definition: 'Tokens sent to and received from language models; 0 for keyphrases',
    formula: 'Σ llm_tokens_in + Σ llm_tokens_out',
    taken: 'tagger, each label batch',
    example: 41_200,
  },
  llm_cost_usd: sumOf(
    'llm_cost_usd',
    'What the calls cost by the price table',
    'USD',
    'tagger, each label batch',
    0.031,
  ),
  llm_budget_percentage: {
    unit: 'percent',
    better: 'lower',
    definition: "Share of the job's LLM budget that is used, the greater of tokens and money; null without a budget",
    formula: '100 × max(llm_tokens / llm_budget_tokens, llm_cost_usd / llm_budget_usd)',
    taken: 'metrics-aggregator',
    example: 41.2,
  },
} as const satisfies Group

const lineageCount = (event: string, definition: string, example: number) =>
  ({
    unit: 'clusters',
    better: 'neither',
    definition: `${definition}, in the chosen layer`,
    formula: `last clusters_${event}`,
    taken: 'clusterer, matching with the run before',
    example,
  }) as const satisfies MetricDeclaration

const againstGold = (measure: string, definition: string, example: number) =>
  ({
    unit: 'score',
    better: 'higher',
    definition: `${definition} of the pages (label of an import), over the pages that have one; null where none has`,
    formula: `last gold_${measure}`,
    taken: 'clusterer, chosen layer; pages outside count as one more cluster',
    example,
  }) as const satisfies MetricDeclaration

const clustering = {
  outlier_percentage_before_attaching: {
    unit: 'percent',
    better: 'lower',
    definition: 'Share of the pages that were outliers before the second pass attached those near enough to a cluster',
    formula: '100 × outliers_before_attaching / (pages_clustered + outlier_count)',
    taken: 'clusterer',
    example: 17.1,
  },
  churn_percentage: {
    unit: 'percent',
    better: 'lower',
    definition: 'Share of the pages of this run and the one before whose topic changed; null without a run before',
    formula: 'last churn_percentage',
    taken: 'clusterer, matching with the run before',
    example: 2.4,
  },
  clusters_continued: lineageCount('continued', 'Clusters that are a topic of the run before', 21),
  clusters_born: lineageCount('born', 'Clusters without a topic before', 2),
  clusters_split: lineageCount('split', 'Clusters that left a topic that goes on', 1),
  clusters_merged: lineageCount('merged', 'Topics that took in most of another', 1),
  clusters_died: lineageCount('died', 'Topics of the run before that end', 0),
  gold_ami: againstGold('ami', 'Adjusted mutual information of clusters and known topics', 0.52),
  gold_ari: againstGold('ari', 'Adjusted Rand index of clusters and known topics', 0.41),
  gold_purity: againstGold('purity', "Share of pages of their cluster's commonest known topic", 0.74),
  seed_stability_ari: {
    unit: 'score',
    better: 'higher',
    definition:
      'Mean adjusted Rand index of the clusters with those of other seeds; null unless the job asked for it (seed_stability)',
    formula: 'mean over the other seeds of ari(labels, labels of the seed)',
    taken: 'clusterer, clustering again',
    example: 0.97,
  },
} as const satisfies Group

export const recordMetrics = { performance, quality, coverage, errors, cost, clustering } as const
export type MetricGroup = keyof typeof recordMetrics
type NameOf<G> = G extends MetricGroup ? keyof (typeof recordMetrics)[G] & string : never
export type MetricName = NameOf<MetricGroup>

export const metricGroups = Object.keys(recordMetrics) as MetricGroup[]

export interface NamedMetric extends MetricDeclaration {
  readonly name: MetricName
  readonly group: MetricGroup
}

/** Every metric in the order of its declaration. Names are unique over the groups. */
export const metricList: readonly NamedMetric[] = metricGroups.flatMap((group) =>
  Object.entries(recordMetrics[group] as Group).map(([name, declared]) => ({
    ...declared,
    name: name as MetricName,
    group,
  })),
)

const byName = new Map(metricList.map((metric) => [metric.name as string, metric]))
export const metricNamed = (name: string): NamedMetric | undefined => byName.get(name)
