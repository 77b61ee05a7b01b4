import { openTestBus } from '@tagloom/bus/testing'
import { type Database, listAlerts, readDeliveries, readDeliveryLag, readRecord } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type AggregatorProcess, AggregatorProcesses, type TestBus, until } from './aggregator-process.ts'
import { MisbehavingReceiver } from './delivery/misbehaving-receiver.ts'
import { passTime } from './testing.ts'

let db: Database & { url: string }
let bus: TestBus
let aggregators: AggregatorProcesses
let wikiId: number
const receivers: MisbehavingReceiver[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  aggregators = new AggregatorProcesses(db, bus)
})
beforeEach(async () => {
  wikiId = await createTestWiki(db)
})
afterEach(async () => {
  await aggregators.killAll()
  for (const receiver of receivers.splice(0)) await receiver.close()
})
afterAll(async () => {
  await bus.close()
  await db.close()
})

async function openReceiver(): Promise<MisbehavingReceiver> {
  const receiver = new MisbehavingReceiver('webhook')
  await receiver.open()
  receivers.push(receiver)
  return receiver
}

const settings = (list: Readonly<Record<string, MisbehavingReceiver>>) => ({
  ALERT_ALLOW_PRIVATE_ADDRESSES: 'true',
  ALERT_TIMEOUT_MS: '500',
  ALERT_RECEIVERS: JSON.stringify(Object.entries(list).map(([name, receiver]) => ({ ...receiver.settings(), name }))),
})

const firing = async () => (await listAlerts(db, { wikiId, limit: 1, rule: 'silhouette-low' }))[0]
const deliveries = async (alertId: number) =>
  (await readDeliveries(db, [alertId])).filter((row) => row.receiver === 'hook')

it('brings an alert and then its resolve to a receiver that is away for half an hour, restarted itself meanwhile', async () => {
  const receiver = await openReceiver()
  const env = settings({ hook: receiver })
  await receiver.shut()
  let child = await aggregators.start(env)
  await aggregators.run(wikiId, { silhouette: 0.1 })
  await until(async () => (await firing())?.state === 'firing')
  const { id } = (await firing())!
  await until(async () => (await deliveries(id)).length === 1)
  // Nothing due and no try in hand, but for the resolve, which waits for its alert.
  const idle = async () => {
    const { rows } = await db.pool.query(
      `select from alert_deliveries where receiver = 'hook' and status = 'due'
         and (attempts = 0 or next_attempt_at <= now() or jsonb_array_length(log) < attempts)`,
    )
    return rows.length <= (await deliveries(id)).length - 1
  }
  for (let minute = 1; minute <= 30; minute++) {
    await until(idle)
    if (minute % 7 === 0) {
      await aggregators.kill(child)
      child = await aggregators.start(env)
    }
    await passTime(db, 60_000)
    if (minute === 15) {
      await aggregators.run(wikiId, {})
      await aggregators.run(wikiId, {})
      await until(async () => (await firing())?.state === 'resolved')
      await until(async () => (await deliveries(id)).length === 2)
    }
  }
  const tries = (await deliveries(id))[0]!.log
  expect(tries.length).toBeGreaterThanOrEqual(7)
  expect(tries.length).toBeLessThan(20)
  expect(new Set(tries.map((entry) => entry.result))).toEqual(new Set(['could not be reached: ECONNREFUSED']))

  await receiver.open()
  const [raised] = await deliveries(id)
  await passTime(db, Math.max(0, raised!.nextAttemptAt.getTime() - Date.now()))
  await until(async () => receiver.taken.length === 2)
  expect(receiver.taken).toEqual([
    { key: `alert.${id}.raised.hook`, event: 'raised' },
    { key: `alert.${id}.resolved.hook`, event: 'resolved' },
  ])
  await until(async () => (await deliveries(id)).every((row) => row.status === 'delivered'))
  const delivered = () => child.lines.filter((line) => line.event === 'alert_delivered')
  await until(async () => delivered().length === 2)
  expect(
    delivered().find((line) => line.transition === 'raised')?.lag_seconds,
    JSON.stringify(delivered()),
  ).toBeGreaterThan(1_800)
}, 240_000)

const flood = 2_000

/** Alerts of other wikis that all fire at once. */
async function pourAlerts(): Promise<void> {
  const other = await createTestWiki(db)
  await db.pool.query(
    `with fired as (
       insert into alerts (wiki_id, rule, severity, state, metric, threshold, message, action, raised_at)
       select $1, 'flood-' || n, 'warning', 'firing', 'silhouette_score', 0.2, 'too much', 'look', now() from generate_series(1, $2) n
       returning id)
     insert into alert_deliveries (alert_id, event, receiver, delivery_key) select id, 'raised', '*', 'alert.' || id || '.raised' from fired`,
    [other, flood],
  )
}

/** From the end of a job to its stored record, ms: the median of several jobs. */
async function recordLatency(jobs: number): Promise<number> {
  const took: number[] = []
  for (let i = 0; i < jobs; i++) {
    const { jobId } = await aggregators.run(wikiId, {})
    took.push(await until(async () => (await readRecord(db, jobId)) !== undefined))
  }
  return took.toSorted((a, b) => a - b)[jobs >> 1]!
}

async function residentMegabytes(child: AggregatorProcess): Promise<number> {
  const text = await (await fetch(`${child.address}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
  return Number(/^process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1]) / 1_048_576
}

it(`records jobs as fast as ever while ${flood} alerts wait for a receiver that never answers`, async () => {
  const hanging = await openReceiver()
  hanging.next.push(...Array.from({ length: flood * 4 }, () => () => {}))
  const healthy = await openReceiver()
  const child = await aggregators.start(settings({ hanging, healthy }))
  const quiet = await recordLatency(7)
  const before = await residentMegabytes(child)
  await pourAlerts()
  await until(async () => hanging.came.length > 0 && healthy.taken.length > 0)
  const flooded = await recordLatency(7)
  const owed = (await readDeliveryLag(db)).find((row) => row.receiver === 'hanging')!.due
  const after = await residentMegabytes(child)
  console.log(
    `record after ${quiet.toFixed(0)} ms, in the flood ${flooded.toFixed(0)} ms; ${owed} deliveries owed; ${before.toFixed(0)} → ${after.toFixed(0)} MB`,
  )
  expect(owed).toBeGreaterThan(flood / 2)
  expect(flooded).toBeLessThan(quiet + 500)
  expect(after).toBeLessThan(before + 100)
  await until(async () => new Set(healthy.taken.map(({ key }) => key)).size >= flood, 90_000)
  expect(healthy.refused).toEqual([])
}, 180_000)
