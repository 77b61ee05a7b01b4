import { defaultTrendWindow, maxTrendWindow, TrendQuery, Trends, WikiParams } from '@tagloom/contracts'
import { KnownTrends } from '../runs/known-trends.ts'
import { noWiki } from './find.ts'
import type { Routes } from './index.ts'

export const trendRoutes: Routes =
  ({ db, config }) =>
  async (app) => {
    const trends = new KnownTrends(db, config.ENABLE_QUERY_CACHING)
    app.get(
      '/api/wikis/:wiki_id/trends',
      {
        config: { scope: 'read' },
        schema: {
          tags: ['Run records'],
          operationId: 'getTrends',
          summary: 'Where each metric is going: mean, median, spread, slope and its significance, band, baseline',
          description: `Over the last ${defaultTrendWindow} runs, or as many or of as many days as asked for.`,
          params: WikiParams,
          querystring: TrendQuery,
          response: { 200: Trends },
        },
      },
      async ({ params, query }, reply) => {
        const { days, window = days === undefined ? defaultTrendWindow : maxTrendWindow } = query
        const answer = await trends.of(params.wiki_id, window, days)
        if (answer === undefined) throw noWiki(params.wiki_id)
        return reply.type('application/json; charset=utf-8').send(answer as never)
      },
    )
  }
