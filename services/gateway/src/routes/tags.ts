import { type Tag, TagList, TagListQuery, WikiParams } from '@tagloom/contracts'
import { listTags, type TagRow } from '@tagloom/database'
import { decodeCursor, toList } from '../http/cursor.ts'
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
  }

const toTag = (row: TagRow): Tag => ({
  id: row.id,
  label: row.label,
  status: row.status,
  source: row.source,
  merged_into: row.mergedInto,
  page_count: row.pageCount,
  cluster_count: row.clusterCount,
})
