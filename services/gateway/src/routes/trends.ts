import { defaultTrendWindow, TrendQuery, Trends, WikiParams } from '@tagloom/contracts'
import { readRunTotals, readSeries } from '@tagloom/database'
import { trendsOf } from '../runs/trends.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

export const trendRoutes: Routes =
  ({ db }) =>
  async (app) => {
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
      async ({ params, query }) => {
        const wiki = await findWiki(db, params.wiki_id)
        const asked = query.window === undefined && query.days === undefined ? { window: defaultTrendWindow } : query
        const [series, totals] = await Promise.all([readSeries(db, wiki.id, asked), readRunTotals(db, wiki.id)])
        return trendsOf(wiki.id, series, totals)
      },
    )
  }
