import { ClusterMetrics, TrendQuery, WikiParams } from '@tagloom/contracts'
import { readClusterMetrics } from '@tagloom/database'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

export const clusterMetricsRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/tags/cluster-metrics/:wiki_id',
      {
        config: { scope: 'read' },
        schema: {
          tags: ['Run records'],
          operationId: 'getClusterMetrics',
          summary: 'The record of the last run, and the averages of the runs so far',
          description:
            'The averages are over all runs, or with ?window= over the last so many, with ?days= over those of so many days.',
          params: WikiParams,
          querystring: TrendQuery,
          response: { 200: ClusterMetrics },
        },
      },
      async ({ params, query }) => {
        await findWiki(db, params.wiki_id)
        return readClusterMetrics(db, params.wiki_id, query)
      },
    )
  }
