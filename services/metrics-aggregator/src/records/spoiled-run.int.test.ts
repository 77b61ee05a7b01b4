import type { MetricSample } from '@tagloom/contracts'
import { addRunEvaluation, type Database, readRecord } from '@tagloom/database'
import { createTestWiki, openTestDatabase, saveSamples } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { completedJob, judgeDepsOn, samplesOf } from '../testing.ts'
import { type JudgeDeps, judgeDueRuns, renewStaleRecords } from './judge-runs.ts'

let db: Database & { url: string }
let deps: JudgeDeps
let wikiId: number
const failures: { job_id: unknown; tries: number; reason: string; givenUp: boolean }[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  deps = judgeDepsOn(db, {
    onFailure: ({ job_id, tries, reason }, givenUp) => failures.push({ job_id, tries, reason, givenUp }),
  })
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
})

const whole = /invalid input syntax for type integer/
const of = (jobId: string) => failures.filter((failure) => failure.job_id === jobId)

const lastOf = (jobId: string): MetricSample => samplesOf(wikiId, jobId).at(-1) as MetricSample

/** A sample that no schema let through: the sum of its tags does not go into an integer column. */
const spoil = (jobId: string) =>
  saveSamples(db, [
    { ...lastOf(jobId), ended_at: '2026-02-01T00:00:00.000Z', counters: { pages_processed: 50, tags_applied: 1.5 } },
  ])

async function dueRun(completedAt: Date, inWiki = wikiId): Promise<string> {
  const jobId = await completedJob(db, inWiki)
  await saveSamples(db, samplesOf(inWiki, jobId))
  await addRunEvaluation(db, { jobId, wikiId: inWiki, completedAt, expectedSamples: 5 })
  return jobId
}

const pauseOver = (jobId: string) =>
  db.pool.query("update run_evaluations set retry_at = now() - interval '1 second' where job_id = $1", [jobId])

async function stateOf(jobId: string) {
  const { rows } = await db.pool.query(
    `select evaluated_at is not null as judged, stale, failures, retry_at > now() as waits, gave_up
     from run_evaluations where job_id = $1`,
    [jobId],
  )
  return rows[0]
}

describe('a run whose record cannot be stored', () => {
  it('holds up no other wiki, and its own only until it is given up after three tries', async () => {
    const bad = await dueRun(new Date(0))
    await spoil(bad)
    const later = await dueRun(new Date())
    const other = await dueRun(new Date(), await createTestWiki(db))

    await judgeDueRuns(deps)
    expect(await readRecord(db, other)).toBeDefined()
    expect(await stateOf(bad)).toMatchObject({ judged: false, failures: 1, waits: true })
    await judgeDueRuns(deps)
    expect(of(bad), 'not tried before its pause is over').toHaveLength(1)
    expect(await readRecord(db, later)).toBeUndefined()
    for (let i = 0; i < 2; i++) {
      await pauseOver(bad)
      await judgeDueRuns(deps)
    }
    expect(of(bad).map(({ tries, givenUp }) => [tries, givenUp])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ])
    expect(of(bad).at(-1)?.reason).toMatch(whole)
    expect(await stateOf(bad)).toMatchObject({ judged: true, failures: 0, gave_up: expect.stringMatching(whole) })
    expect(await readRecord(db, later)).toBeDefined()
    expect(await judgeDueRuns(deps)).toBe(0)
    expect(of(bad)).toHaveLength(3)
  })

  it('is judged after all when a better sample comes before the last try', async () => {
    const bad = await dueRun(new Date(0))
    await spoil(bad)
    await judgeDueRuns(deps)
    await saveSamples(db, [{ ...lastOf(bad), ended_at: '2026-03-01T00:00:00.000Z' }])
    await pauseOver(bad)
    expect(await judgeDueRuns(deps)).toBe(1)
    expect(await stateOf(bad)).toMatchObject({ judged: true, failures: 0, waits: null, gave_up: null })
    expect((await readRecord(db, bad))?.coverage.total_tags_applied).toBe(300)
  })

  it('gets a record after all when a better sample comes after it was given up', async () => {
    const bad = await dueRun(new Date(0))
    await spoil(bad)
    for (let i = 0; i < 3; i++) {
      await judgeDueRuns(deps)
      await pauseOver(bad)
    }
    expect(await stateOf(bad)).toMatchObject({ judged: true, stale: false, gave_up: expect.stringMatching(whole) })
    await saveSamples(db, [{ ...lastOf(bad), ended_at: '2026-03-01T00:00:00.000Z' }])
    expect(await renewStaleRecords(deps)).toBe(1)
    expect(await stateOf(bad)).toMatchObject({ judged: true, stale: false, gave_up: null })
    expect((await readRecord(db, bad))?.coverage.total_tags_applied).toBe(300)
  })

  it('counts one try when several replicas fail at once', async () => {
    const bad = await dueRun(new Date(0))
    await spoil(bad)
    await Promise.all([judgeDueRuns(deps), judgeDueRuns(deps), judgeDueRuns(deps)])
    expect(await stateOf(bad)).toMatchObject({ judged: false, failures: 1 })
  })

  it('keeps the record that it had when a late sample spoils it, and holds up no other renewal', async () => {
    const spoiled = await dueRun(new Date(0))
    const fine = await dueRun(new Date())
    await judgeDueRuns(deps)
    await spoil(spoiled)
    await saveSamples(db, [{ ...lastOf(fine), stage: 'embed', batch: 'late' }])
    expect(await renewStaleRecords(deps)).toBe(1)
    expect((await readRecord(db, fine))?.samples.received).toBe(6)
    for (let i = 0; i < 2; i++) {
      await pauseOver(spoiled)
      await renewStaleRecords(deps)
    }
    expect(of(spoiled).map(({ givenUp }) => givenUp)).toEqual([false, false, true])
    expect((await readRecord(db, spoiled))?.coverage.total_tags_applied).toBe(300)
    expect(await stateOf(spoiled)).toMatchObject({ judged: true, stale: false, gave_up: expect.stringMatching(whole) })
  })

  it('loses no try when the fault is not its own', async () => {
    const jobId = await dueRun(new Date())
    const away = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    const samples = { ...deps.samples, read: () => Promise.reject(away) }
    await expect(judgeDueRuns({ ...deps, samples })).rejects.toBe(away)
    expect(await stateOf(jobId)).toMatchObject({ judged: false, failures: 0 })
    expect(await judgeDueRuns(deps)).toBe(1)
  })
})
