import Type, { type Static } from 'typebox'
import { listOf, listQuery } from './paging.ts'

const name = Type.String({ minLength: 1, maxLength: 200, description: 'Unique' })

export const NewWiki = Type.Object({ name }, { additionalProperties: false, title: 'NewWiki' })
export type NewWiki = Static<typeof NewWiki>

export const Wiki = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    page_count: Type.Integer(),
    current_job_id: Type.Union([Type.String(), Type.Null()], {
      description: 'The job whose clusters and tags are shown; null before the first',
    }),
    created_at: Type.String({ format: 'date-time' }),
  },
  { title: 'Wiki' },
)
export type Wiki = Static<typeof Wiki>

export const WikiListQuery = listQuery({
  name: Type.Optional(Type.String({ description: 'Only the wiki of this name' })),
})
export const WikiList = listOf(Wiki, 'WikiList')
