import Type, { type Static } from 'typebox'

const figure = Type.Union([Type.Number(), Type.Null()])
const count = Type.Integer({ minimum: 0 })
const open = { additionalProperties: true }

/** Answer of GET /api/tags/cluster-metrics/{wiki_id}. More fields of the same groups may follow, so every group is open. */
export const ClusterMetrics = Type.Object(
  {
    wiki_id: Type.Integer(),
    latest_clustering: Type.Union(
      [
        Type.Object(
          {
            job_id: Type.String(),
            created_at: Type.String({ format: 'date-time' }),
            performance: Type.Object(
              {
                total_duration_seconds: figure,
                clustering_duration_seconds: figure,
                tag_generation_duration_seconds: figure,
                propagation_duration_seconds: figure,
              },
              open,
            ),
            quality: Type.Object(
              { cluster_count: count, avg_cluster_size: figure, outlier_percentage: figure, silhouette_score: figure },
              open,
            ),
            coverage: Type.Object({ pages_processed: count, pages_tagged: count, avg_tags_per_page: figure }, open),
            errors: Type.Object({ llm_failures: count, parsing_errors: count, total_errors: count }, open),
          },
          { description: 'The record of the last completed job' },
        ),
        Type.Null(),
      ],
      { description: 'null before the first job' },
    ),
    historical_trend: Type.Object(
      { avg_duration_seconds: figure, avg_cluster_count: figure, avg_quality_score: figure },
      { ...open, description: 'Averages over the recorded runs; null before the first' },
    ),
  },
  { title: 'ClusterMetrics' },
)
export type ClusterMetrics = Static<typeof ClusterMetrics>
