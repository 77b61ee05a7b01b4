import { openTestBus } from '@tagloom/bus/testing'
import { type Database, readJob } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { type LiveRecords, openLiveRecords } from '@tagloom/service-kit/live-records'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { completedJob, samplesOf } from '../testing.ts'
import { startLiveRefresh } from './live-refresh.ts'
import type { SamplesToRead } from './samples.ts'

let db: Database
let bus: Awaited<ReturnType<typeof openTestBus>>
let live: LiveRecords
let reads: string[]
let told: string[]
/** By job, what stands in the way of its record */
let broken: Map<string, Error>

const samples: SamplesToRead = {
  async read(wikiId, jobId) {
    reads.push(jobId)
    const error = broken.get(jobId)
    if (error) throw error
    return samplesOf(wikiId, jobId)
  },
}

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
  live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
})
afterAll(async () => {
  await live.close()
  await bus.close()
  await db.close()
})
beforeEach(() => {
  reads = []
  told = []
  broken = new Map()
})

const start = () =>
  startLiveRefresh({ db, samples, live, everyMs: 1, onError: ({ message }) => void told.push(message) })
const newJob = async () => completedJob(db, await createTestWiki(db))
const recordOfJob = async (jobId: string) => live.get((await readJob(db, jobId))!.wikiId, jobId)
const whenRecorded = (jobId: string) => vi.waitFor(async () => expect(await recordOfJob(jobId)).toBeDefined(), 10_000)

it('a job whose own figures cannot be folded is tried once each time that it is touched, and holds up no other', async () => {
  const [bad, fine] = [await newJob(), await newJob()]
  broken.set(bad, new RangeError('Invalid time value'))
  const refresh = start()
  refresh.touch(bad)
  refresh.touch(fine)
  await whenRecorded(fine)
  refresh.touch(fine)
  await vi.waitFor(() => expect(reads.filter((id) => id === fine)).toHaveLength(2))
  expect(reads.filter((id) => id === bad)).toHaveLength(1)
  broken.clear()
  refresh.touch(bad)
  await whenRecorded(bad)
  expect(told).toEqual(['Invalid time value'])
  await refresh.stop()
})

it('an outage is told once, however many jobs wait, and they have their records when it is over', async () => {
  const jobs = [await newJob(), await newJob(), await newJob()]
  for (const job of jobs) broken.set(job, Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' }))
  const refresh = start()
  for (const job of jobs) refresh.touch(job)
  await vi.waitFor(() => expect(reads.length).toBeGreaterThan(2), 10_000)
  expect(told).toEqual(['connect refused'])
  broken.clear()
  for (const job of jobs) await whenRecorded(job)
  await refresh.stop()
})
