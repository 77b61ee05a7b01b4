import { NewWiki, Wiki, WikiList, WikiListQuery, WikiParams } from '@tagloom/contracts'
import { countPages, createWiki, listWikis, type WikiRow } from '@tagloom/database'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Wikis']

export const wikiRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.post(
      '/api/wikis',
      {
        config: { scope: 'write' },
        schema: { tags, operationId: 'createWiki', summary: 'Create a wiki', body: NewWiki, response: { 201: Wiki } },
      },
      async ({ body, caller }, reply) => {
        if (caller.wikiIds)
          throw new ProblemError('wiki_forbidden', 'The API key is for some wikis only, so it cannot create another')
        const wiki = await createWiki(db, body.name)
        if (!wiki)
          throw new ProblemError('wiki_exists', `A wiki named "${body.name}" exists: GET /api/wikis?name= finds it`)
        return reply.code(201).header('location', `/api/wikis/${wiki.id}`).send(toWiki(wiki, 0))
      },
    )

    app.get(
      '/api/wikis',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'listWikis',
          summary: 'List the wikis that the key is for',
          querystring: WikiListQuery,
          response: { 200: WikiList },
        },
      },
      async ({ query, caller }) => {
        const limit = query.limit!
        const [afterId] = decodeCursor(query.cursor, 'int4') ?? []
        const rows = await listWikis(db, { limit: limit + 1, afterId, name: query.name, wikiIds: caller.wikiIds })
        const pages = await countPages(
          db,
          rows.map((row) => row.id),
        )
        return toList(
          rows,
          limit,
          (row) => [row.id],
          (row) => toWiki(row, pages.get(row.id)!),
        )
      },
    )

    app.get(
      '/api/wikis/:wiki_id',
      {
        config: { scope: 'read' },
        schema: { tags, operationId: 'getWiki', summary: 'One wiki', params: WikiParams, response: { 200: Wiki } },
      },
      async ({ params }) => {
        const wiki = await findWiki(db, params.wiki_id)
        return toWiki(wiki, (await countPages(db, [wiki.id])).get(wiki.id)!)
      },
    )
  }

const toWiki = (row: WikiRow, pageCount: number): Wiki => ({
  id: row.id,
  name: row.name,
  page_count: pageCount,
  current_job_id: row.currentJobId,
  created_at: row.createdAt.toISOString(),
})
