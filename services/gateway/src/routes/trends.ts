import { defaultTrendWindow, maxTrendWindow, TrendQuery, Trends, WikiParams } from '@tagloom/contracts'
import { readRunTotals, readSeries } from '@tagloom/database'
import { BriefCache } from '../runs/brief-cache.ts'
import { trendsOf } from '../runs/trends.ts'
import { findWiki } from './find.ts'
import type { Routes } from './index.ts'

const rememberMs = 500

export const trendRoutes: Routes =
  ({ db, config }) =>
  async (app) => {
    const answers = new BriefCache<string>(config.ENABLE_QUERY_CACHING ? rememberMs : 0)
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
        const answer = await answers.get(`${params.wiki_id} ${window} ${days}`, async () => {
          const wiki = await findWiki(db, params.wiki_id)
          const [series, totals] = await Promise.all([
            readSeries(db, wiki.id, { window, days }),
            readRunTotals(db, wiki.id),
          ])
          return JSON.stringify(trendsOf(wiki.id, series, totals))
        })
        return reply.type('application/json; charset=utf-8').send(answer as never)
      },
    )
  }
