import { type Cluster, ClusterList, ClusterListQuery, WikiParams } from '@tagloom/contracts'
import { type ClusterRow, listClusters, readJob } from '@tagloom/database'
import { decodeCursor, toList } from '../http/cursor.ts'
import { ProblemError } from '../http/problem.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

export const clusterRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/wikis/:wiki_id/clusters',
      {
        config: { scope: 'read' },
        schema: {
          tags: ['Clusters and tags'],
          operationId: 'listClusters',
          summary: 'List clusters, largest first, with their tags and most typical pages',
          params: WikiParams,
          querystring: ClusterListQuery,
          response: { 200: ClusterList },
        },
      },
      async ({ params, query }) => {
        const wiki = await findWiki(db, params.wiki_id)
        const jobId = query.job_id ?? wiki.currentJobId
        if (jobId === null) return { items: [], next_cursor: null }
        if (query.job_id !== undefined) await refuseOtherWikisJob(query.job_id, wiki.id)
        const limit = query.limit!
        const after = decodeCursor(query.cursor, 'int4', 'int4')
        const rows = await listClusters(db, {
          jobId,
          layer: query.layer,
          limit: limit + 1,
          after: after && { size: after[0], no: after[1] },
        })
        return toList(rows, limit, (row) => [row.size, row.no], toCluster)
      },
    )

    async function refuseOtherWikisJob(jobId: string, wikiId: number): Promise<void> {
      const job = await readJob(db, jobId)
      if (job?.wikiId !== wikiId) throw new ProblemError('job_not_found', `Wiki ${wikiId} has no job ${jobId}`)
    }
  }

const toCluster = (row: ClusterRow): Cluster => ({
  no: row.no,
  job_id: row.jobId,
  layer: row.layer,
  parent_no: row.parentNo,
  lineage_id: row.lineageId,
  lineage_event: row.lineageEvent,
  size: row.size,
  strength: row.strength,
  tags: [...row.tags],
  pages: [...row.pages],
})
