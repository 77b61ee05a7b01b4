import Type, { type Static } from 'typebox'
import { listOf, listQuery } from './paging.ts'

const ClusterTag = Type.Object(
  {
    tag_id: Type.Integer(),
    label: Type.String(),
    confidence: Type.Number({ minimum: 0, maximum: 1 }),
    method: Type.Enum(['vocabulary', 'keyphrases', 'llm'], { description: 'How it was found' }),
  },
  { title: 'ClusterTag' },
)

export const Cluster = Type.Object(
  {
    no: Type.Integer({ description: 'Its number within the job' }),
    job_id: Type.String(),
    layer: Type.Integer({ description: '0 is the finest' }),
    parent_no: Type.Union([Type.Integer(), Type.Null()], {
      description: 'The cluster of the next layer that holds it',
    }),
    lineage_id: Type.String({ description: 'Stays the same over runs while the cluster stays the same' }),
    lineage_event: Type.Enum(['continued', 'born', 'split', 'merged'], {
      description: 'What became of the topic since the previous run',
    }),
    size: Type.Integer({ description: 'Pages in it' }),
    strength: Type.Number(),
    tags: Type.Array(ClusterTag),
    pages: Type.Array(Type.Object({ id: Type.String(), title: Type.String(), strength: Type.Number() }), {
      description: 'The three pages that belong to it most',
    }),
  },
  { title: 'Cluster' },
)
export type Cluster = Static<typeof Cluster>

export const ClusterListQuery = listQuery({
  job_id: Type.Optional(Type.String({ maxLength: 200, description: "By default the wiki's current job" })),
  layer: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 1_000,
      description: '0 is the finest; by default the layer that the record speaks of',
    }),
  ),
})
export const ClusterList = listOf(Cluster, 'ClusterList')
