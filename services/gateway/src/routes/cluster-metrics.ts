import { ClusterMetrics, TrendQuery, WikiParams } from '@tagloom/contracts'
import { readClusterMetrics } from '@tagloom/database'
import { BriefCache } from '../runs/brief-cache.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const rememberMs = 500

export const clusterMetricsRoutes: Routes =
  ({ db, config }) =>
  async (app) => {
    const answers = new BriefCache<string>(config.ENABLE_QUERY_CACHING ? rememberMs : 0)
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
      async ({ params, query }, reply) => {
        const key = `${params.wiki_id} ${query.window} ${query.days}`
        const answer = await answers.get(key, async () => {
          await findWiki(db, params.wiki_id)
          return JSON.stringify(await readClusterMetrics(db, params.wiki_id, query))
        })
        return reply.type('application/json; charset=utf-8').send(answer as never)
      },
    )
  }
