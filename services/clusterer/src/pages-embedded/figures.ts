import type { JobMetrics } from '@tagloom/service-kit'
import type { Clustered } from './cluster-worker.ts'

export type ClusteringFigures = ReturnType<typeof figuresOf>

/** What the run says of its clustering as a whole. Pages without a vector are outside of everything too. */
export function figuresOf(found: Clustered, pages: number) {
  const vectors = found.pageIds.length
  const { chosen, lineages } = found.lineages
  const layer = found.layers[found.chosen]
  const clustered = layer ? vectors - layer.outliersAfter : 0
  const before = layer ? layer.outliersBefore + pages - vectors : pages
  const { silhouette, silhouetteCosine, sizeHistogram, density, leftOutShare, gold } = found.evaluation
  const first = found.layers.slice(0, found.chosen).reduce((sum, finer) => sum + finer.clusters, 0)
  const ofChosen = lineages.slice(first, first + (layer?.clusters ?? 0))
  const count = (event: string) => ofChosen.filter((lineage) => lineage.event === event).length
  return {
    clusters: layer?.clusters ?? 0,
    layers: found.layers.length,
    criterion: found.criterion,
    min_cluster_size: found.minClusterSize,
    clustered,
    outliers: Math.max(0, pages - clustered),
    outlier_percentage: percentage(pages - clustered, pages),
    outliers_before_attaching: before,
    outlier_percentage_before_attaching: percentage(before, pages),
    silhouette_score: silhouette.score,
    silhouette_score_standard_error: silhouette.standardError,
    silhouette_cosine: silhouetteCosine.score,
    silhouette_cosine_standard_error: silhouetteCosine.standardError,
    cluster_size_histogram: sizeHistogram,
    density,
    left_out_share: leftOutShare,
    gold,
    seed_stability: found.seedStability,
    seconds: found.seconds,
    each_layer: found.layers.map((each) => ({
      clusters: each.clusters,
      resolution: each.resolution,
      persistence: each.persistence,
      outliers: each.outliersAfter,
      outliers_before_attaching: each.outliersBefore,
    })),
    lineages: {
      continued: count('continued'),
      born: count('born'),
      split: count('split'),
      merged: count('merged'),
      died: chosen?.died ?? [],
    },
    pages_in_both_runs: chosen?.pagesInBoth ?? null,
    pages_that_changed_topic: chosen?.pagesChanged ?? null,
    churn_percentage: chosen ? percentage(chosen.pagesChanged, chosen.pagesInBoth) : null,
  }
}

const percentage = (part: number, whole: number): number => (whole === 0 ? 0 : (100 * part) / whole)

/** The same as measures of the sample. */
export function measure(sample: JobMetrics, found: Clustered, figures: ClusteringFigures): void {
  const sizes = found.layers[found.chosen]?.sizes ?? new Int32Array()
  const { lineages, gold, density, seed_stability: stability } = figures
  sample.setGauge('cluster_count', figures.clusters)
  sample.setGauge('pages_clustered', figures.clustered)
  sample.setGauge('outlier_count', figures.outliers)
  sample.setGauge('outliers_before_attaching', figures.outliers_before_attaching)
  if (sizes.length > 0) {
    sample.setGauge(
      'min_cluster_size',
      sizes.reduce((a, b) => Math.min(a, b)),
    )
    sample.setGauge(
      'max_cluster_size',
      sizes.reduce((a, b) => Math.max(a, b)),
    )
  }
  sample.setGauge('left_out_share', figures.left_out_share)
  sample.setGauge('layers', figures.layers)
  sample.setGauge('clusters_matched', lineages.continued + lineages.merged)
  sample.setGauge('clusters_continued', lineages.continued)
  sample.setGauge('clusters_born', lineages.born)
  sample.setGauge('clusters_split', lineages.split)
  sample.setGauge('clusters_merged', lineages.merged)
  sample.setGauge('clusters_died', lineages.died.length)
  if (figures.churn_percentage !== null) sample.setGauge('churn_percentage', figures.churn_percentage)
  if (figures.silhouette_score !== null) {
    sample.setGauge('silhouette_score', figures.silhouette_score)
    sample.setGauge('silhouette_standard_error', figures.silhouette_score_standard_error)
  }
  if (figures.silhouette_cosine !== null) {
    sample.setGauge('silhouette_cosine', figures.silhouette_cosine)
    sample.setGauge('silhouette_cosine_standard_error', figures.silhouette_cosine_standard_error)
  }
  if (density.inside !== null) sample.setGauge('density_inside', density.inside)
  if (density.outside !== null) sample.setGauge('density_outside', density.outside)
  if (stability) {
    sample.setGauge('seed_stability_ari', stability.mean_ari)
    sample.setGauge('seed_stability_ari_least', stability.least_ari)
  }
  if (gold) {
    sample.setGauge('gold_ami', gold.ami)
    sample.setGauge('gold_ari', gold.ari)
    sample.setGauge('gold_purity', gold.purity)
  }
  for (const size of sizes) sample.observe('cluster_sizes', size)
}
