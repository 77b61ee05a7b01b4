import { Tag, TagList, TagListQuery, TagParams, WikiParams } from '@tagloom/contracts'
import { listTags, type TagRow } from '@tagloom/database'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

export const tagRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/wikis/:wiki_id/tags',
      {
        config: { scope: 'read' },
        schema: {
          tags: ['Clusters and tags'],
          operationId: 'listTags',
          summary: 'List tags, those on most pages first',
          params: WikiParams,
          querystring: TagListQuery,
          response: { 200: TagList },
        },
      },
      async ({ params, query }) => {
        const wiki = await findWiki(db, params.wiki_id)
        const limit = query.limit!
        const after = decodeCursor(query.cursor, 'int4', 'int4')
        const rows = await listTags(db, {
          wikiId: wiki.id,
          jobId: wiki.currentJobId,
          limit: limit + 1,
          after: after && { pageCount: after[0], id: after[1] },
          status: query.status,
          search: query.search,
        })
        return toList(rows, limit, (row) => [row.pageCount, row.id], toTag)
      },
    )

    app.get(
      '/api/wikis/:wiki_id/tags/:tag_id',
      {
        config: { scope: 'read' },
        schema: {
          tags: ['Clusters and tags'],
          operationId: 'getTag',
          summary: 'One tag, whatever its status',
          params: TagParams,
          response: { 200: Tag },
        },
      },
      async ({ params }) => {
        const { id: wikiId, currentJobId: jobId } = await findWiki(db, params.wiki_id)
        const [row] = await listTags(db, { wikiId, jobId, limit: 1, id: params.tag_id })
        if (!row) throw new ProblemError('tag_not_found', `Wiki ${wikiId} has no tag ${params.tag_id}`)
        return toTag(row)
      },
    )
  }

const toTag = (row: TagRow): Tag => ({
  id: row.id,
  label: row.label,
  status: row.status,
  source: row.source,
  merged_into: row.mergedInto,
  page_count: row.pageCount,
  cluster_count: row.clusterCount,
  parent: row.parent,
  child_count: row.childCount,
})
