import { openTestBus } from '@tagloom/bus/testing'
import type { RunRecord } from '@tagloom/contracts'
import { type Database, listAlerts, readJob, readRecord, readTransitions } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { AggregatorProcesses, type SentRun, type TestBus, until } from './aggregator-process.ts'
import { MisbehavingReceiver } from './delivery/misbehaving-receiver.ts'
import { recordOf } from './records/job-record.ts'
import { completedJob, samplesOf } from './testing.ts'

/** Of the silhouette of ten jobs in a row: two alerts, each with its resolve */
const silhouettes = [0.5, 0.1, 0.1, 0.5, 0.5, 0.5, 0.1, 0.5, 0.5, 0.5]
const longestLifeMs = 300

let db: Database & { url: string }
let bus: TestBus
let aggregators: AggregatorProcesses
let receiver: MisbehavingReceiver
let wikiId: number
let env: Record<string, string>

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  aggregators = new AggregatorProcesses(db, bus)
})
beforeEach(async () => {
  wikiId = await createTestWiki(db)
  receiver = new MisbehavingReceiver('webhook')
  await receiver.open()
  env = {
    ALERT_ALLOW_PRIVATE_ADDRESSES: 'true',
    ALERT_TIMEOUT_MS: '500',
    ALERT_RECEIVERS: JSON.stringify([receiver.settings()]),
  }
})
afterEach(async () => {
  await aggregators.killAll()
  await receiver.close()
})
afterAll(async () => {
  await bus.close()
  await db.close()
})

const recorded = (jobs: readonly SentRun[]) => async () => {
  for (const { jobId } of jobs) if (!(await readRecord(db, jobId))) return false
  return true
}

/** Records as an aggregator makes them that nothing happens to, and alerts that fired and resolved once each. */
async function expectUndisturbed(jobs: readonly SentRun[]): Promise<void> {
  for (const { jobId, samples } of jobs) {
    const job = await readJob(db, jobId)
    const undisturbed: RunRecord = recordOf(job!, samples, samples.length, new Date())
    expect(await readRecord(db, jobId)).toEqual(JSON.parse(JSON.stringify(undisturbed)))
  }
  const ofSilhouette = await listAlerts(db, { wikiId, limit: 99, rule: 'silhouette-low' })
  expect(ofSilhouette.map((alert) => alert.state)).toEqual(['resolved', 'resolved'])
  const all = await listAlerts(db, { wikiId, limit: 99 })
  const owed: string[] = []
  for (const alert of all) {
    const states = (await readTransitions(db, [alert.id])).map((step) => step.toState)
    expect(new Set(states).size, `${alert.rule}: ${states}`).toBe(states.length)
    if (!alert.raisedAt) continue
    owed.push(`alert.${alert.id}.raised.receiver`)
    if (alert.state === 'resolved') owed.push(`alert.${alert.id}.resolved.receiver`)
  }
  const taken = () => [...new Set(receiver.taken.map(({ key }) => key))]
  await until(async () => taken().length >= owed.length)
  expect(taken().sort()).toEqual(owed.sort())
  for (const { id } of ofSilhouette) {
    const order = eventsOf(id)
    expect(order.indexOf('resolved')).toBeGreaterThan(order.lastIndexOf('raised'))
  }
  expect(receiver.refused).toEqual([])
}
const eventsOf = (alertId: number) =>
  receiver.taken.filter(({ key }) => key.startsWith(`alert.${alertId}.`)).map(({ event }) => event)

it('makes the same records and alerts when it is killed 20 times during 10 jobs', async () => {
  const jobs: SentRun[] = []
  let killed = 0
  const liveAndDie = async (work: () => Promise<void>) => {
    const child = await aggregators.start(env)
    await work()
    // The moment of the kill, another each time; nothing is waited for.
    await new Promise((resolve) => setTimeout(resolve, (killed * 7919) % longestLifeMs))
    await aggregators.kill(child)
    killed++
  }
  for (const silhouette of silhouettes) {
    const jobId = await completedJob(db, wikiId)
    const samples = samplesOf(wikiId, jobId, { silhouette })
    const half = samples.length >> 1
    await liveAndDie(async () => {
      for (const sample of samples.slice(0, half)) await aggregators.publishSample(sample)
    })
    await liveAndDie(async () => {
      for (const sample of samples.slice(half)) await aggregators.publishSample(sample)
      await aggregators.complete(wikiId, jobId)
    })
    jobs.push({ jobId, samples })
  }
  expect(killed).toBe(20)
  await aggregators.start(env)
  await until(recorded(jobs), 60_000)
  await expectUndisturbed(jobs)
}, 400_000)

it('loses nothing when one of three replicas is killed in the middle of 10 jobs', async () => {
  const [first] = await Promise.all([aggregators.start(env), aggregators.start(env), aggregators.start(env)])
  const jobs: SentRun[] = []
  for (const [at, silhouette] of silhouettes.entries()) {
    if (at === 5) void aggregators.kill(first)
    jobs.push(await aggregators.run(wikiId, { silhouette }))
  }
  await until(recorded(jobs), 60_000)
  await expectUndisturbed(jobs)
}, 120_000)
