import {
  Page,
  PageList,
  PageListQuery,
  PageParams,
  type PageSummary,
  type PageTag,
  WikiParams,
} from '@tagloom/contracts'
import { deletePage, listPages, type PageRow, type PageTagRow, readPage } from '@tagloom/database'
import Type from 'typebox'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const tags = ['Pages']

export const pageRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/wikis/:wiki_id/pages',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'listPages',
          summary: 'List pages with their tags',
          params: WikiParams,
          querystring: PageListQuery,
          response: { 200: PageList },
        },
      },
      async ({ params, query }) => {
        const { id: wikiId, currentJobId: jobId } = await findWiki(db, params.wiki_id)
        const limit = query.limit!
        const [afterId] = decodeCursor(query.cursor, 'id') ?? []
        const { tag, untagged } = query
        const rows = await listPages(db, { wikiId, jobId, limit: limit + 1, afterId, tag, untagged })
        return toList(rows, limit, (row) => [row.id], toSummary)
      },
    )

    app.get(
      '/api/wikis/:wiki_id/pages/:page_id',
      {
        config: { scope: 'read' },
        schema: {
          tags,
          operationId: 'getPage',
          summary: 'One page with its text and tags',
          params: PageParams,
          response: { 200: Page },
        },
      },
      async ({ params }) => {
        const wiki = await findWiki(db, params.wiki_id)
        const page = await readPage(db, wiki.id, wiki.currentJobId, params.page_id)
        if (!page) throw noPage(params)
        return { ...toSummary(page), text: page.text! }
      },
    )

    app.delete(
      '/api/wikis/:wiki_id/pages/:page_id',
      {
        config: { scope: 'write' },
        schema: {
          tags,
          operationId: 'deletePage',
          summary: 'Delete a page and what was decided about it',
          params: PageParams,
          response: { 204: Type.Null() },
        },
      },
      async ({ params }, reply) => {
        await findWiki(db, params.wiki_id)
        if (!(await deletePage(db, params.wiki_id, params.page_id))) throw noPage(params)
        return reply.code(204).send(null)
      },
    )
  }

const noPage = (params: { wiki_id: number; page_id: string }) =>
  new ProblemError('page_not_found', `Wiki ${params.wiki_id} has no page "${params.page_id}"`)

const toSummary = (row: PageRow): PageSummary => ({
  id: row.externalId,
  title: row.title,
  content_hash: row.contentHash,
  characters: row.characters,
  locked: row.locked,
  created_at: row.createdAt,
  updated_at: row.updatedAt,
  tags: row.tags.map(toTag),
})

const toTag = (row: PageTagRow): PageTag => ({
  tag_id: row.tagId,
  label: row.label,
  confidence: row.confidence,
  origin: row.origin,
  job_id: row.jobId,
  cluster_no: row.clusterNo,
  decided_by: row.decidedBy,
})
