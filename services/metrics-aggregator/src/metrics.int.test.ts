import { openTestBus } from '@tagloom/bus/testing'
import { metricList } from '@tagloom/contracts'
import { type Database, listAlerts, readDeliveryLag, readRecord } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AggregatorProcesses, type TestBus, until } from './aggregator-process.ts'
import { type Family, parsePrometheusText } from './prometheus-text.ts'

/* What Prometheus reads of the process: three wikis ran, two may be shown, and a receiver takes no connection. */

const exposedWikis = 2

let db: Database & { url: string }
let bus: TestBus
let aggregators: AggregatorProcesses
let families: Map<string, Family>
const wikis: number[] = []
const jobs: string[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  aggregators = new AggregatorProcesses(db, bus)
  // The port of the discard service: nothing listens there.
  const closed = { name: 'closed', type: 'alertmanager', url: 'http://127.0.0.1:9' }
  const child = await aggregators.start({
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
  families = parsePrometheusText(await (await fetch(`${child.address}/metrics`)).text())
})
afterAll(async () => {
  await aggregators.killAll()
  await bus.close()
  await db.close()
})

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
