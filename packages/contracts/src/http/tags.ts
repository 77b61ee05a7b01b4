import Type, { type Static } from 'typebox'
import { pageLimits } from './pages.ts'
import { listOf, listQuery } from './paging.ts'

const tagStatuses = ['proposed', 'approved', 'rejected', 'merged'] as const

export const Tag = Type.Object(
  {
    id: Type.Integer(),
    label: Type.String(),
    status: Type.Enum([...tagStatuses]),
    source: Type.Enum(['imported', 'human', 'keyphrases', 'llm'], { description: 'Who brought it in' }),
    merged_into: Type.Union([Type.String(), Type.Null()], { description: 'Label of the tag that replaces it' }),
    page_count: Type.Integer({ description: 'Pages that have it, in the current job and by people' }),
    cluster_count: Type.Integer({ description: 'Clusters of the current job that have it' }),
    parent: Type.Union([Type.Object({ id: Type.Integer(), label: Type.String() }), Type.Null()], {
      description:
        'The broader tag above it: of the cluster that holds its own. What a merged one went into; in the place of a rejected one what stands above that',
    }),
    child_count: Type.Integer({ description: 'Tags in use whose parent it is' }),
  },
  { title: 'Tag' },
)
export type Tag = Static<typeof Tag>

export const TagListQuery = listQuery({
  status: Type.Optional(Type.Enum([...tagStatuses], { description: 'By default those in use: proposed and approved' })),
  search: Type.Optional(Type.String({ maxLength: pageLimits.tagCharacters, description: 'Part of the label' })),
})
export const TagList = listOf(Tag, 'TagList')

/** A decision of a person about a page's tag, a page, or a tag. It overlays every job, past and future. */
const decisionKinds = ['added', 'rejected', 'locked', 'merged', 'approved'] as const
export type DecisionKind = (typeof decisionKinds)[number]

/** Who decided where no person did: tags that came with pages, and merges by meaning or by a rule of spelling. */
export const decidedByImport = 'import'
export const decidedByTagloom = 'tagloom'

const tag = Type.String({ minLength: 1, maxLength: pageLimits.tagCharacters, description: 'Label of the tag' })
const page = Type.String({ minLength: 1, maxLength: pageLimits.idCharacters, description: 'Id of the page' })
const strict = { additionalProperties: false }

export const NewDecision = Type.Union(
  [
    Type.Object(
      { kind: Type.Literal('added'), page_id: page, tag },
      { ...strict, description: 'The page has the tag' },
    ),
    Type.Object(
      { kind: Type.Literal('rejected'), page_id: Type.Optional(page), tag },
      { ...strict, description: 'The page must not have the tag; without page_id no page must' },
    ),
    Type.Object(
      { kind: Type.Literal('locked'), page_id: page },
      { ...strict, description: 'Jobs leave the page alone' },
    ),
    Type.Object(
      { kind: Type.Literal('merged'), tag, into: tag },
      { ...strict, description: 'Every `tag` is shown and counted as `into`, or as what that was merged into' },
    ),
    Type.Object(
      { kind: Type.Literal('approved'), tag },
      { ...strict, description: 'The tag is part of the vocabulary; one that the wiki does not have is made' },
    ),
  ],
  { title: 'NewDecision' },
)
export type NewDecision = Static<typeof NewDecision>

export const Decision = Type.Object(
  {
    id: Type.Integer(),
    kind: Type.Enum([...decisionKinds]),
    page_id: Type.Union([Type.String(), Type.Null()]),
    tag: Type.Union([Type.String(), Type.Null()]),
    into: Type.Union([Type.String(), Type.Null()], {
      description: 'Of a merge: the tag that was named. Where that was merged on, `tag` stands for what it went into',
    }),
    decided_by: Type.String({ description: 'Name of the API key; `import`: came with pages; `tagloom`: same meaning' }),
    created_at: Type.String({ format: 'date-time' }),
  },
  { title: 'Decision' },
)
export type Decision = Static<typeof Decision>

export const DecisionListQuery = listQuery({ kind: Type.Optional(Type.Enum([...decisionKinds])) })
export const DecisionList = listOf(Decision, 'DecisionList')
