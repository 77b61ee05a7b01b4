import { setDefaultCACertificates } from 'node:tls'
import {
  acknowledgeAlert,
  addRunEvaluation,
  type Database,
  type DeliveryRow,
  listAlerts,
  readAlert,
  readDeliveries,
  readDeliveryLag,
} from '@tagloom/database'
import { createTestWiki, openTestDatabase, saveSamples } from '@tagloom/database/testing'
import type { Loop } from '@tagloom/service-kit'
import { type CapturedLog, captureLog } from '@tagloom/service-kit/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { judgeDueRuns } from '../records/judge-runs.ts'
import { samplesInDatabase } from '../records/samples.ts'
import { commitTo, completedJob, passTime, samplesOf } from '../testing.ts'
import { type DeliveryDeps, startDelivery } from './deliver.ts'
import { logDelivery } from './log-delivery.ts'
import { MisbehavingReceiver, type Protocol, type Way, ways } from './misbehaving-receiver.ts'
import type { Receiver } from './receivers.ts'
import { repeatRequest } from './requests.ts'
import { send } from './send.ts'
import { certificate, key } from './test-certificate.ts'

const hour = 3_600_000
const protocols: readonly Protocol[] = ['webhook', 'pagerduty', 'alertmanager']

let db: Database & { url: string }
let wikiId: number
let receiver: MisbehavingReceiver
let delivery: Loop | undefined
let log: CapturedLog
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
  log = captureLog('metrics-aggregator')
})
afterEach(async () => {
  await delivery?.stop()
  await receiver.close()
  // What a test leaves owing would be told to the receiver of the next.
  await db.pool.query("update alert_deliveries set status = 'given up' where status = 'due'")
  await db.pool.query("update alerts set open = false, state = 'resolved' where open")
})

function deliver(more: Partial<DeliveryDeps> = {}): void {
  delivery = startDelivery({
    db,
    receivers: [receiver.settings()],
    allowPrivate: true,
    timeoutMs: 400,
    everyMs: 5,
    ...logDelivery(log),
    onError: (error) => {
      throw error
    },
    ...more,
  })
}

/** A run of the wiki, recorded and judged. */
async function run(silhouette: number): Promise<void> {
  const jobId = await completedJob(db, wikiId)
  await saveSamples(db, samplesOf(wikiId, jobId, { silhouette }))
  await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 5 })
  const samples = samplesInDatabase(db)
  await judgeDueRuns({
    db,
    commit: commitTo(db),
    samples,
    store: true,
    graceSeconds: 3600,
    onRecord: () => {},
    onFailure: () => {},
    retryPauseSeconds: 60,
  })
}

async function fire(): Promise<number> {
  await run(0.1)
  const [alert] = await listAlerts(db, { wikiId, limit: 1, rule: 'silhouette-low' })
  return alert!.id
}
const recover = async () => {
  await run(0.5)
  await run(0.5)
}

const deliveriesOf = async (alertId: number): Promise<DeliveryRow[]> =>
  (await readDeliveries(db, [alertId])).filter((row) => row.receiver === 'receiver')

/** Waits for the n-th try of the delivery, and makes the pause after it pass. @returns the pause, ms */
async function afterTry(alertId: number, n: number): Promise<{ result: string; pauseMs: number }> {
  const row = await vi.waitUntil(
    async () => (await deliveriesOf(alertId)).find((each) => each.event === 'raised' && each.log.length >= n),
    { timeout: 20_000, interval: 10 },
  )
  const pauseMs = row.nextAttemptAt.getTime() - Date.now()
  await passTime(db, Math.max(0, pauseMs))
  return { result: row.log[n - 1]!.result, pauseMs }
}

const told = () => receiver.taken.map(({ event }) => event)
const until = (holds: () => Promise<boolean> | boolean) => vi.waitUntil(holds, { timeout: 20_000, interval: 10 })

/** Ends of the alerts of this test's wiki that Alertmanager holds; it is told as well of what tests before this one resolved. */
const held = (): Date[] =>
  [...receiver.held].flatMap(([labels, ends]) => (JSON.parse(labels).wiki_id === String(wikiId) ? [ends] : []))
const firing = (): number => held().filter((ends) => ends.getTime() > Date.now()).length

const taken = { webhook: 'HTTP 204', pagerduty: 'HTTP 202', alertmanager: 'HTTP 200' }

describe.each(protocols)('a receiver of %s', (protocol) => {
  it('gets an alert and all that follows, in order, after failing in every way', async () => {
    receiver = new MisbehavingReceiver(protocol)
    await receiver.open()
    await receiver.shut()
    const all: (readonly [RegExp, Way])[] = [...Object.values(ways)]
    if (protocol === 'pagerduty') all.push([/^HTTP 200$/, (response) => void response.end('<html>Log in first</html>')])
    receiver.next.push(...all.map(([, way]) => way))
    const id = await fire()
    deliver()

    expect((await afterTry(id, 1)).result).toMatch(/^could not be reached: ECONNREFUSED$/)
    await receiver.open()
    for (const [at, [result, way]] of all.entries()) {
      const tried = await afterTry(id, at + 2)
      expect(tried.result).toMatch(result)
      if (way === ways['error 429 with Retry-After']![1] || way === ways['error 503 with a date in Retry-After']![1])
        expect(tried.pauseMs).toBeGreaterThan(115_000)
    }
    await until(() => told().includes('raised'))
    await db.transaction((tx) => acknowledgeAlert(tx, id, 'ann'))
    await recover()
    await until(() => told().includes('resolved'))

    expect(told()).toEqual(
      protocol === 'alertmanager' ? ['raised', 'resolved'] : ['raised', 'acknowledged', 'resolved'],
    )
    expect(receiver.refused).toEqual([])
    await until(async () => (await deliveriesOf(id)).every((row) => row.status === 'delivered'))
    const [raised] = await deliveriesOf(id)
    expect(raised!.log.map((entry) => entry.result)).toHaveLength(all.length + 2)
    expect(raised!.attempts).toBe(all.length + 2)
    const keys = new Set(receiver.came)
    expect(keys.size).toBe(protocol === 'webhook' ? 3 : 1)
    expect(receiver.trapped).toBe(0)
    expect(receiver.poured).toBeLessThan(16_000_000)
    const failed = log.of('alert_delivery_failed')
    expect(failed.map((line) => line.reason)).toEqual(raised!.log.slice(0, -1).map((entry) => entry.result))
    expect(log.of('alert_delivered')).toHaveLength(told().length)
  }, 60_000)

  it('is not told over TLS that it cannot prove, and is told once it can', async () => {
    receiver = new MisbehavingReceiver(protocol, { key, cert: certificate })
    await receiver.open()
    const id = await fire()
    setDefaultCACertificates([])
    deliver()
    expect((await afterTry(id, 1)).result).toBe('could not be reached: DEPTH_ZERO_SELF_SIGNED_CERT')
    setDefaultCACertificates([certificate])
    await until(async () => (await deliveriesOf(id))[0]!.log.length > 1)
    expect((await deliveriesOf(id))[0]!.log.at(-1)!.result).toBe(taken[protocol])
    expect(told()).toContain('raised')
    expect(receiver.refused).toEqual([])
  }, 30_000)

  it('that stays away for a day is given up, which the log and the delivery say', async () => {
    receiver = new MisbehavingReceiver(protocol)
    await receiver.open()
    await receiver.shut()
    const id = await fire()
    deliver()
    const pauses: number[] = []
    for (let n = 1; ; n++) {
      const tried = await afterTry(id, n)
      if ((await deliveriesOf(id))[0]!.status === 'given up') break
      pauses.push(tried.pauseMs)
    }
    const [row] = await deliveriesOf(id)
    expect(pauses.length).toBeGreaterThan(90)
    expect(pauses.length).toBeLessThan(200)
    expect(pauses.reduce((a, b) => a + b, 0)).toBeGreaterThan(23 * hour)
    expect(pauses.reduce((a, b) => a + b, 0)).toBeLessThan(24.5 * hour)
    expect(row).toMatchObject({ status: 'given up', attempts: pauses.length + 1 })
    expect(row!.log).toHaveLength(pauses.length + 1)
    expect(log.of('alert_delivery_abandoned')).toMatchObject([
      { level: 'ERROR', alert_id: id, receiver: 'receiver', attempts: row!.attempts },
    ])
    await receiver.open()
    await recover()
    await until(() => told().includes('resolved'))
    expect(told()).toEqual(['resolved'])
  }, 60_000)
})

describe('a webhook that is gone', () => {
  it('is left alone after 410', async () => {
    receiver = new MisbehavingReceiver('webhook')
    await receiver.open()
    receiver.next.push((response) => void response.writeHead(410).end())
    const id = await fire()
    deliver()
    await until(async () => (await deliveriesOf(id))[0]?.status === 'given up')
    expect((await deliveriesOf(id))[0]!.log.map((entry) => entry.result)).toEqual(['HTTP 410'])
  })
})

describe('an Alertmanager that is restarted', () => {
  it('holds again what is open, and not what is resolved', async () => {
    receiver = new MisbehavingReceiver('alertmanager')
    await receiver.open()
    await fire()
    deliver({ repeatEveryMs: 20 })
    await until(() => firing() === 1)
    await receiver.shut()
    expect(firing()).toBe(0)
    await receiver.open()
    await until(() => firing() === 1)
    await recover()
    await until(() => held().length === 1 && firing() === 0)
    await receiver.shut()
    await receiver.open()
    await expect(vi.waitUntil(() => firing() > 0, { timeout: 300, interval: 10 })).rejects.toThrow()
    expect(receiver.refused).toEqual([])
  })
})

describe('an Alertmanager that hears an older repeat after the resolve', () => {
  it('has the alert resolved again by the next repeat', async () => {
    receiver = new MisbehavingReceiver('alertmanager')
    await receiver.open()
    const settings = receiver.settings() as Extract<Receiver, { type: 'alertmanager' }>
    const id = await fire()
    deliver({ repeatEveryMs: 20 })
    await until(() => firing() === 1)
    const stale = repeatRequest(settings, [(await readAlert(db, id))!], new Date())
    await recover()
    await until(() => firing() === 0)
    expect(await send(stale, { timeoutMs: 5_000, allowPrivate: true })).toMatchObject({ status: 200 })
    await until(() => firing() === 0)
    expect(held()).toHaveLength(1)
  })
})

describe('what is owed to a receiver that is taken out of ALERT_RECEIVERS', () => {
  it('is given up after a day, and shows in no lag from then on', async () => {
    receiver = new MisbehavingReceiver('webhook')
    await receiver.open()
    await receiver.shut()
    const id = await fire()
    deliver()
    await afterTry(id, 1)
    await delivery!.stop()
    deliver({ receivers: [] })
    await delivery!.stop()
    expect((await deliveriesOf(id)).map((row) => row.status)).toEqual(['due'])
    await passTime(db, 25 * hour)
    deliver({ receivers: [] })
    await until(async () => (await deliveriesOf(id))[0]?.status === 'given up')
    expect((await deliveriesOf(id))[0]?.lastResult).toBe('there is no such receiver any more')
    expect((await readDeliveryLag(db)).map((lag) => lag.receiver)).not.toContain('receiver')
  })
})

describe('a repeated look by several replicas', () => {
  it('tells each receiver of each alert once', async () => {
    receiver = new MisbehavingReceiver('webhook')
    await receiver.open()
    const id = await fire()
    deliver()
    const first = delivery!
    deliver()
    await until(async () => (await deliveriesOf(id)).length === 1 && told().length > 0)
    await recover()
    await until(() => told().includes('resolved'))
    await first.stop()
    expect(told()).toEqual(['raised', 'resolved'])
  })
})
