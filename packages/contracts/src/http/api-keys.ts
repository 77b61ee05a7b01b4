import Type, { type Static } from 'typebox'
import { listOf, listQuery } from './paging.ts'
import { decidedByImport, decidedByTagloom } from './tags.ts'

/** Each scope includes those before it. */
export const scopes = ['read', 'write', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** A key given by its owner (TAGLOOM_API_KEY) must be long enough that a plain SHA-256 of it is safe to store. */
export const minApiKeyLength = 16

/** Name of the key that TAGLOOM_API_KEY gives: it revokes others of its name */
export const ownKeyName = 'TAGLOOM_API_KEY'

/** Decisions bear the name of their key, so none is called like what the pipeline decides by itself, whatever the case. */
export const isReservedKeyName = (name: string): boolean =>
  [decidedByImport, decidedByTagloom, ownKeyName].some(
    (reserved) => reserved.toLowerCase() === name.trim().toLowerCase(),
  )

const wikiIds = Type.Union(
  [Type.Array(Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), { maxItems: 10_000 }), Type.Null()],
  {
    description: 'The wikis it is for; null for all',
  },
)

export const NewApiKey = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 200,
      description: `Decisions bear it; not ${decidedByImport}, ${decidedByTagloom} or ${ownKeyName}`,
    }),
    scopes: Type.Array(Type.Enum([...scopes]), { minItems: 1, uniqueItems: true }),
    wiki_ids: Type.Optional(wikiIds),
  },
  { additionalProperties: false, title: 'NewApiKey' },
)
export type NewApiKey = Static<typeof NewApiKey>

const fields = {
  id: Type.Integer(),
  name: Type.String(),
  scopes: Type.Array(Type.Enum([...scopes])),
  wiki_ids: wikiIds,
  created_at: Type.String({ format: 'date-time' }),
  revoked_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
}
export const ApiKey = Type.Object(fields, { title: 'ApiKey' })
export type ApiKey = Static<typeof ApiKey>

export const CreatedApiKey = Type.Object(
  { ...fields, key: Type.String({ description: 'Shown this once; only its hash is stored' }) },
  { title: 'CreatedApiKey' },
)
export type CreatedApiKey = Static<typeof CreatedApiKey>

export const ApiKeyListQuery = listQuery({})
export const ApiKeyList = listOf(ApiKey, 'ApiKeyList')
