import Type, { type Static } from 'typebox'
import { listOf, listQuery } from './paging.ts'

/** Limits of one page; a page beyond them is reported and left out. 5 MB is more than any real wiki page. */
export const pageLimits = {
  idCharacters: 1000,
  titleCharacters: 2000,
  textCharacters: 10_000_000,
  tags: 200,
  tagCharacters: 200,
} as const

/** One line of an import. */
export const PageInput = Type.Object(
  {
    id: Type.Union([Type.String({ minLength: 1, maxLength: pageLimits.idCharacters }), Type.Integer()], {
      description: "The page's own id in its wiki, e.g. its path; a second import with the same id updates the page",
    }),
    title: Type.String({ maxLength: pageLimits.titleCharacters }),
    text: Type.String({ maxLength: pageLimits.textCharacters, description: 'Markdown or plain text' }),
    tags: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: pageLimits.tagCharacters }), {
        maxItems: pageLimits.tags,
        description: 'Tags that people gave it: kept by every job, and the vocabulary that jobs prefer',
      }),
    ),
    label: Type.Optional(
      Type.Union([Type.String({ maxLength: pageLimits.titleCharacters }), Type.Null()], {
        description:
          'Known topic of the page: a job compares its clusters with it, in the record, and forms them without',
      }),
    ),
  },
  { title: 'PageInput', description: 'Further fields are ignored' },
)
export type PageInput = Static<typeof PageInput>

export const ImportQuery = Type.Object(
  {
    replace: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Delete, at the end, every page of the wiki that the import does not hold',
      }),
    ),
  },
  { additionalProperties: false },
)

const importErrorCodes = ['invalid_json', 'invalid_page', 'invalid_utf8', 'line_too_long', 'duplicate_id'] as const
export type ImportErrorCode = (typeof importErrorCodes)[number]

export const ImportReport = Type.Object(
  {
    received: Type.Integer({ description: 'Pages read, good and bad' }),
    created: Type.Integer(),
    updated: Type.Integer(),
    unchanged: Type.Integer(),
    deleted: Type.Integer({ description: 'With ?replace=true: pages that were not in the import' }),
    rejected: Type.Integer(),
    repaired: Type.Integer({
      description: 'Pages taken after NUL characters were removed, which no database text holds',
    }),
    errors: Type.Array(
      Type.Object({
        line: Type.Integer({ description: 'From 1; in a JSON array the number of the element' }),
        code: Type.Enum([...importErrorCodes]),
        reason: Type.String(),
      }),
      { description: 'The first 1,000 rejected lines; `rejected` counts all' },
    ),
    replace_skipped: Type.Optional(
      Type.String({ description: 'Why nothing was deleted although ?replace=true was asked for' }),
    ),
  },
  { title: 'ImportReport' },
)
export type ImportReport = Static<typeof ImportReport>
export type ImportError = ImportReport['errors'][number]

const tagOrigins = ['cluster', 'similarity', 'person'] as const

export const PageTag = Type.Object(
  {
    tag_id: Type.Integer(),
    label: Type.String(),
    confidence: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()], {
      description: 'null for a tag that a person gave',
    }),
    origin: Type.Enum([...tagOrigins], {
      description:
        "cluster: from the page's cluster; similarity: from its closeness to the tag; person: decided by somebody",
    }),
    job_id: Type.Union([Type.String(), Type.Null()]),
    cluster_no: Type.Union([Type.Integer(), Type.Null()], { description: 'The cluster of that job that it came from' }),
    decided_by: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'PageTag' },
)
export type PageTag = Static<typeof PageTag>

const pageFields = {
  id: Type.String(),
  title: Type.String(),
  content_hash: Type.String({ description: 'SHA-256 of title and text, hexadecimal' }),
  characters: Type.Integer(),
  locked: Type.Boolean({ description: 'Jobs put no tags on it' }),
  created_at: Type.String({ format: 'date-time' }),
  updated_at: Type.String({ format: 'date-time' }),
  tags: Type.Array(PageTag),
}
export const PageSummary = Type.Object(pageFields, { title: 'PageSummary' })
export type PageSummary = Static<typeof PageSummary>

export const Page = Type.Object({ ...pageFields, text: Type.String() }, { title: 'Page' })
export type Page = Static<typeof Page>

export const PageListQuery = listQuery({
  tag: Type.Optional(Type.String({ maxLength: pageLimits.tagCharacters, description: 'Only pages with this tag' })),
  untagged: Type.Optional(Type.Boolean({ description: 'Only pages with (false) or without (true) any tag' })),
})
export const PageList = listOf(PageSummary, 'PageList')
