import {
  type ApiKey,
  ApiKeyList,
  ApiKeyListQuery,
  ApiKeyParams,
  CreatedApiKey,
  isReservedKeyName,
  NewApiKey,
} from '@tagloom/contracts'
import { type ApiKeyRow, createApiKey, listApiKeys, revokeApiKey } from '@tagloom/database'
import Type from 'typebox'
import { hashApiKey, newApiKey } from '../auth/api-key.ts'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import type { Routes } from './index.ts'

const tags = ['API keys']

export const apiKeyRoutes: Routes =
  ({ db, keys }) =>
  async (app) => {
    app.addHook('onRequest', async ({ caller }) => {
      if (caller.wikiIds) throw new ProblemError('wiki_forbidden', 'Keys are administered by a key for every wiki')
    })

    app.post(
      '/api/keys',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          operationId: 'createApiKey',
          summary: 'Create an API key; it is shown this once',
          body: NewApiKey,
          response: { 201: CreatedApiKey },
        },
      },
      async ({ body }, reply) => {
        if (isReservedKeyName(body.name))
          throw new ProblemError(
            'bad_request',
            `"${body.name}" is what the pipeline calls itself: expected another name`,
          )
        const key = newApiKey()
        const row = await createApiKey(db, {
          name: body.name,
          hash: hashApiKey(key),
          scopes: body.scopes,
          wikiIds: body.wiki_ids ?? null,
        })
        return reply
          .code(201)
          .header('cache-control', 'no-store')
          .send({ ...toApiKey(row), key })
      },
    )

    app.get(
      '/api/keys',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          operationId: 'listApiKeys',
          summary: 'List API keys',
          querystring: ApiKeyListQuery,
          response: { 200: ApiKeyList },
        },
      },
      async ({ query }) => {
        const [afterId] = decodeCursor(query.cursor, 'int4') ?? []
        const limit = query.limit!
        return toList(await listApiKeys(db, limit + 1, afterId), limit, (row) => [row.id], toApiKey)
      },
    )

    app.delete(
      '/api/keys/:key_id',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          operationId: 'revokeApiKey',
          summary: 'Revoke an API key; other gateways refuse it within 5 seconds',
          params: ApiKeyParams,
          response: { 204: Type.Null() },
        },
      },
      async ({ params }, reply) => {
        if (!(await revokeApiKey(db, params.key_id)))
          throw new ProblemError('api_key_not_found', `There is no API key ${params.key_id}`)
        keys.forget(params.key_id)
        return reply.code(204).send(null)
      },
    )
  }

const toApiKey = (row: ApiKeyRow): ApiKey => ({
  id: row.id,
  name: row.name,
  scopes: row.scopes,
  wiki_ids: row.wikiIds,
  created_at: row.createdAt.toISOString(),
  revoked_at: row.revokedAt?.toISOString() ?? null,
})
