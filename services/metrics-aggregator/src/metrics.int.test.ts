import { openTestBus } from '@tagloom/bus/testing'
import { metricList } from '@tagloom/contracts'
import { type Database, listAlerts, openDatabase, readDeliveryLag, readRecord } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type AggregatorProcess, AggregatorProcesses, type TestBus, until } from './aggregator-process.ts'
import { type Family, parsePrometheusText } from './prometheus-text.ts'

/* What Prometheus reads of the process: three wikis ran, two may be shown, and a receiver takes no connection. */

const exposedWikis = 2

let db: Database & { url: string }
let bus: TestBus
let aggregators: AggregatorProcesses
let aggregator: AggregatorProcess
let families: Map<string, Family>
const wikis: number[] = []
const jobs: string[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  aggregators = new AggregatorProcesses(db, bus)
  // The port of the discard service: nothing listens there.
  const closed = { name: 'closed', type: 'alertmanager', url: 'http://127.0.0.1:9' }
  aggregator = await aggregators.start({
    METRICS_EXPOSED_WIKIS: String(exposedWikis),
    ALERT_RECEIVERS: JSON.stringify([closed]),
    ALERT_ALLOW_PRIVATE_ADDRESSES: 'true',
  })
  for (const silhouette of [0.1, 0.4, 0.6]) {
    const wikiId = await createTestWiki(db)
    const { jobId } = await aggregators.run(wikiId, { silhouette })
    await until(async () => (await readRecord(db, jobId)) !== undefined)
    wikis.push(wikiId)
    jobs.push(jobId)
  }
  await until(async () => (await listAlerts(db, { wikiId: wikis[0]!, limit: 9 })).length === 1)
  await until(async () => (await readDeliveryLag(db)).some((lag) => lag.receiver === 'closed'))
  families = await scrape()
})
afterAll(async () => {
  await aggregators.killAll()
  await bus.close()
  await db.close()
})

const scrape = async (): Promise<Map<string, Family>> => {
  const answer = await fetch(`${aggregator.address}/metrics`)
  expect(answer.status).toBe(200)
  return parsePrometheusText(await answer.text())
}

const seriesOf = (name: string) => {
  const family = families.get(name)
  if (!family) throw new Error(`expected the family ${name}, got ${[...families.keys()].join(', ')}`)
  return family.series
}

it('shows the last run of the wikis that ran most recently, one series a metric', () => {
  const figures = seriesOf('tagloom_run_figure')
  const shown = wikis.slice(-exposedWikis).map(String)
  expect([...new Set(figures.map(({ labels }) => labels.wiki_id))].sort()).toEqual(shown.sort())
  expect(figures.length).toBeLessThanOrEqual(exposedWikis * metricList.length)
  const silhouettes = figures.filter(({ labels }) => labels.metric === 'silhouette_score')
  expect(silhouettes.map(({ value }) => value).sort()).toEqual([0.4, 0.6])
  expect(silhouettes[0]?.labels).toMatchObject({ group: 'quality', unit: 'score' })
  expect(seriesOf('tagloom_run_completed_timestamp_seconds')).toHaveLength(exposedWikis)
})

it('has no job id in any label', () => {
  const values = [...families.values()].flatMap(({ series }) => series.flatMap(({ labels }) => Object.values(labels)))
  expect(values.length).toBeGreaterThan(100)
  for (const jobId of jobs) expect(values.filter((value) => value.includes(jobId))).toEqual([])
})

it('counts alerts by state, and says what a receiver has not taken and for how long', () => {
  expect(seriesOf('tagloom_alerts').map(({ labels, value }) => [labels.state, value])).toContainEqual(['firing', 1])
  const ofClosed = (name: string) => seriesOf(name).find(({ labels }) => labels.receiver === 'closed')?.value
  expect(ofClosed('tagloom_alert_deliveries_due')).toBe(1)
  expect(ofClosed('tagloom_alert_delivery_lag_seconds')).toBeGreaterThan(0)
})

it('answers while its database takes no connections, with the figures that it read last, and says so', async () => {
  const before = seriesOf('tagloom_run_figure')
  expect(seriesOf('tagloom_run_figures_up')).toMatchObject([{ value: 1 }])
  const name = new URL(db.url).pathname.slice(1)
  const admin = openDatabase({ url: Object.assign(new URL(db.url), { pathname: '/postgres' }).href, max: 1 })
  try {
    await admin.pool.query(`alter database "${name}" allow_connections false`)
    await admin.pool.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    await until(async () => {
      families = await scrape()
      return seriesOf('tagloom_run_figures_up')[0]?.value === 0
    })
    expect(seriesOf('tagloom_run_figure')).toEqual(before)
    expect(seriesOf('tagloom_outbox_messages')).toMatchObject([{ value: Number.NaN }])
    expect(seriesOf('tagloom_messages_handled_total').length).toBeGreaterThan(0)
  } finally {
    await admin.pool.query(`alter database "${name}" allow_connections true`)
    await admin.close()
  }
  await until(async () => {
    families = await scrape()
    return seriesOf('tagloom_run_figures_up')[0]?.value === 1
  })
})
