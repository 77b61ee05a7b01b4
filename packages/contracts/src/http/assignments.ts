import Type, { type Static } from 'typebox'

/** Most pages of one assignment: what the tagger embeds in seconds. More new pages than that are what a run is for. */
export const assignmentLimits = { pages: 2_000 } as const

export const NewAssignment = Type.Union(
  [
    Type.Object(
      {
        pages: Type.Optional(
          Type.Array(Type.String({ minLength: 1, maxLength: 1000 }), {
            minItems: 1,
            maxItems: assignmentLimits.pages,
            description: 'Ids of pages; without them all that are new or changed since the current run',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    Type.Null(),
  ],
  { title: 'NewAssignment' },
)

/** How unlike the pages of the run the pages since then are. */
export const Drift = Type.Object(
  {
    job_id: Type.String({ description: 'The run that they are compared with' }),
    pages: Type.Integer({ description: 'Pages, new or changed since the run, that were assigned or left out so far' }),
    left_out: Type.Integer({ description: 'Those of them that no topic took' }),
    expected_percentage: Type.Number({ description: "Share of the run's own pages that its topics would not take" }),
    drift: Type.Union([Type.Number(), Type.Null()], {
      description: 'Share left out over the share expected: 1 is like the run, 2 is twice as many; null without pages',
    }),
    rerun_due: Type.Boolean({ description: 'At least twice as many were left out as expected, and not by chance' }),
    advice: Type.String(),
  },
  { title: 'Drift' },
)
export type Drift = Static<typeof Drift>

const AssignedPage = Type.Object(
  {
    id: Type.String(),
    title: Type.String(),
    outcome: Type.Enum(['waiting', 'assigned', 'left_out', 'without_text'], {
      description: 'left_out: no topic is near enough; without_text: there is nothing to embed',
    }),
    similarity: Type.Union([Type.Number(), Type.Null()], {
      description: "To the topic that took it, or to the nearest: cosine with the topic's centroid",
    }),
    cluster_no: Type.Union([Type.Integer(), Type.Null()], { description: "Number of the topic in the run's clusters" }),
    lineage_id: Type.Union([Type.String(), Type.Null()]),
    tags: Type.Array(Type.Object({ label: Type.String(), confidence: Type.Number() }), {
      description:
        'Of the topic and of the broader ones that hold it, surest first, less what people took from the page',
    }),
  },
  { title: 'AssignedPage' },
)

export const Assignment = Type.Object(
  {
    id: Type.String(),
    wiki_id: Type.Integer(),
    job_id: Type.String({ description: 'The run whose topics the pages are given to' }),
    status: Type.Enum(['waiting', 'completed', 'failed']),
    failure: Type.Union([Type.String(), Type.Null()]),
    created_at: Type.String({ format: 'date-time' }),
    ended_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    left_for_later: Type.Integer({
      description: `Further pages that are new or changed: ${assignmentLimits.pages} go into one assignment`,
    }),
    pages: Type.Array(AssignedPage),
    drift: Drift,
  },
  { title: 'Assignment' },
)
export type Assignment = Static<typeof Assignment>
