/**
 * What the aggregator and its questions cost.
 *
 *   npm run bench -- aggregator [--samples 100000] [--runs 10000] [--seconds 5] [--only ingest|trends|endpoint]
 *
 * JSON lines:
 *   ingest     a backlog of samples drained by the aggregator's own process as it is shipped (checked, stored in PostgreSQL, acknowledged,
 *              live records made meanwhile) beside a bare JetStream consumer in a process of its own (durable, explicit acknowledgement of
 *              each message as ours, nothing read or parsed), on the same stream, in turns; the ratio is the median of the turns'
 *   trends     GET /api/wikis/{id}/trends of a wiki with so many runs: p50, p95, p99 in ms, and the gateway's processor time;
 *              with nothing remembered, and as shipped
 *   endpoint   requests/s of GET /api/tags/cluster-metrics/{id} and of /api/jobs/{id}/metrics, each beside a bare Fastify route that answers
 *              with the same body
 */
import { parseArgs } from 'node:util'
import { type Database, migrate, openDatabase } from '@tagloom/database'
import { measureEndpoint } from './aggregator/endpoint.ts'
import { withGateway } from './aggregator/gateway.ts'
import { type Drained, measureIngest } from './aggregator/ingest.ts'
import { fillRuns } from './aggregator/runs.ts'
import { measureTrends } from './aggregator/trends.ts'
import { ownServers } from './ground/own-servers.ts'

const options = {
  samples: { type: 'string', default: '100000' },
  runs: { type: 'string', default: '10000' },
  seconds: { type: 'string', default: '5' },
  only: { type: 'string' },
} as const

const say = (figures: Record<string, unknown>) => console.log(JSON.stringify(figures))

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  const servers = await ownServers()
  try {
    await migrate(servers.databaseUrl)
    const db = openDatabase({ url: servers.databaseUrl })
    try {
      const wanted = (part: string) => values.only === undefined || values.only === part
      if (wanted('ingest')) await benchIngest(db, servers, Number(values.samples))
      const wikiId = await fillRuns(db, Number(values.runs))
      // What a question costs, then as shipped: the answer is kept with the roll-up's revision, which every question asks for.
      if (wanted('trends'))
        for (const remembered of [false, true])
          await withGateway(servers, { ENABLE_QUERY_CACHING: String(remembered) }, async (base) => {
            for (const asked of ['window=20', 'window=100', 'window=200', 'days=30']) {
              const figures = await measureTrends(base, `/api/wikis/${wikiId}/trends?${asked}`)
              say({ bench: 'aggregator', part: 'trends', runs: Number(values.runs), asked, remembered, ...figures })
            }
          })
      if (wanted('endpoint'))
        await withGateway(servers, {}, async (base) => {
          for (const path of [`/api/tags/cluster-metrics/${wikiId}`, '/api/jobs/job_1/metrics'])
            say({
              bench: 'aggregator',
              part: 'endpoint',
              path,
              ...(await measureEndpoint(base, path, Number(values.seconds))),
            })
        })
    } finally {
      await db.close()
    }
  } finally {
    await servers.stop()
  }
}

async function benchIngest(
  db: Database,
  servers: { readonly databaseUrl: string; readonly natsUrl: string },
  count: number,
): Promise<void> {
  const { bare, aggregator } = await measureIngest(db, servers, count)
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number
  const perSecond = (of: readonly Drained[]) => Math.round(median(of.map((one) => one.perSecond)))
  const cpuUs = (of: readonly Drained[]) => Number(median(of.map((one) => one.cpuUs)).toFixed(1))
  const ratios = aggregator.map((one, round) => one.perSecond / (bare[round] as Drained).perSecond)
  say({
    bench: 'aggregator',
    part: 'ingest',
    samples: count,
    bare_per_s: perSecond(bare),
    aggregator_per_s: perSecond(aggregator),
    ratio: Number(median([...ratios]).toFixed(3)),
    ratios: ratios.map((ratio) => Number(ratio.toFixed(3))),
    bare_cpu_us: cpuUs(bare),
    aggregator_cpu_us: cpuUs(aggregator),
  })
}
