import Type, { type Static } from 'typebox'

/** What a caller may ask of a job. Everything has a default, so `{}` is a whole request. */
export const JobOptions = Type.Object(
  {
    min_cluster_size: Type.Optional(
      Type.Integer({
        minimum: 2,
        maximum: 100_000,
        description: 'Fewest pages that make a cluster; by default it follows the number of pages',
      }),
    ),
    target_clusters: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'Choose the layer whose number of clusters is nearest to this',
      }),
    ),
    keep_topics: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          "Go on from the topics of the wiki's run before where they still hold; false finds all anew, as a first run does",
      }),
    ),
    tags_per_cluster: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 20, default: 5, description: 'Most tags a cluster gets' }),
    ),
    max_tags_per_page: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 50, default: 8, description: 'Most automatic tags a page gets' }),
    ),
    confidence_threshold: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, default: 0.35, description: 'Least confidence for a tag on a page' }),
    ),
    labeller: Type.Optional(
      Type.Enum(['keyphrases', 'llm'], { default: 'keyphrases', description: 'Who names the clusters' }),
    ),
    vocabulary: Type.Optional(
      Type.Enum(['prefer', 'only', 'free'], {
        default: 'prefer',
        description: 'prefer: existing tags where they fit; only: no new tags; free: ignore what exists',
      }),
    ),
    llm_budget_tokens: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Tokens after which no more LLM calls are made; the job goes on with keyphrases',
      }),
    ),
    llm_budget_usd: Type.Optional(
      Type.Number({ minimum: 0, description: 'Money after which no more LLM calls are made, by the price table' }),
    ),
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4_294_967_295,
        default: 42,
        description: 'Seed of every random choice of the job',
      }),
    ),
    seed_stability: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10,
        description:
          'Cluster again with so many other seeds, only to say in the record how well the results agree; each costs another clustering',
      }),
    ),
    dry_run: Type.Optional(
      Type.Boolean({ default: false, description: 'Run everything, but leave the wiki pointing at its current job' }),
    ),
  },
  { additionalProperties: false },
)
export type JobOptions = Static<typeof JobOptions>

export const jobOptionDefaults = {
  keep_topics: true,
  tags_per_cluster: 5,
  max_tags_per_page: 8,
  confidence_threshold: 0.35,
  labeller: 'keyphrases',
  vocabulary: 'prefer',
  seed: 42,
  dry_run: false,
} as const satisfies JobOptions
