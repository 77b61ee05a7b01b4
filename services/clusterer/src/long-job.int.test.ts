import { monitorEventLoopDelay } from 'node:perf_hooks'
import { events, type JobOptions, toMessage } from '@tagloom/contracts'
import { cancelJob, completeJob, readClusteringFigures } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'
import { embeddedJob, givePages, topicPages } from './testing.ts'

/* What a clustering of some seconds does meanwhile: these claim times, and run beside nothing else. */

let deps: TestDeps<typeof environment>
let app: FastifyInstance
beforeAll(async () => {
  deps = await openTestDeps('clusterer', environment, { INFERENCE_THREADS: '1' })
  app = await buildApp(deps)
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await deps.close()
})

/** Runs a job to the end of its clustering. @returns its id */
async function clustered(wikiId: number, options: JobOptions = {}): Promise<string> {
  const { jobId, send } = await embeddedJob(deps, wikiId, options)
  await send()
  await expect.poll(() => readClusteringFigures(deps.db, jobId), { timeout: 25_000 }).toBeTruthy()
  await deps.db.transaction((tx) => completeJob(tx, jobId, {}))
  return jobId
}

/** Some seconds of clustering: the same pages with ten more seeds. */
const longJob: JobOptions = { seed_stability: 10 }

test('a cancelled job gives its processor back within a second, and leaves nothing', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 3_000, 40))
  const { jobId, send } = await embeddedJob(deps, wikiId, longJob)
  const linesOf = (text: string) =>
    deps.log.lines.filter((line) => line.job_id === jobId && String(line.msg).includes(text))
  await send()
  await expect
    .poll(() => deps.log.of('clustering_started').some((line) => line.job_id === jobId), { timeout: 15_000 })
    .toBe(true)
  await deps.db.transaction((tx) => cancelJob(tx, jobId))
  const began = performance.now()
  const data = { wiki_id: wikiId, job_id: jobId, reason: 'by a test' }
  await deps.bus.publish(toMessage(events.jobCancelled, data, { source: 'gateway' }))
  await expect.poll(() => linesOf('dropped the work').length, { timeout: 15_000, interval: 5 }).toBe(1)
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await readClusteringFigures(deps.db, jobId)).toBeUndefined()
  expect(deps.log.of('clustering_completed').some((line) => line.job_id === jobId)).toBe(false)
}, 60_000)

test('a long job tells its progress with the time left, and keeps the event loop free all along', async () => {
  const wikiId = await createTestWiki(deps.db)
  await givePages(deps.db, wikiId, topicPages(0, 3_000, 40))
  await clustered(wikiId)
  const seen: { job_id: string; stage: string; done: number; total: number; seconds_left?: number }[] = []
  const following = new AbortController()
  const reading = (async () => {
    const followed = deps.bus.follow({ subjects: [events.jobProgressed.filter], signal: following.signal })
    for await (const { envelope } of followed) seen.push(envelope.data as (typeof seen)[number])
  })()
  const standstills: number[] = []
  let jobId = ''
  // A busy machine stops a process for longer than that now and then; what blocks by itself does so every time.
  for (let tries = 0; tries < 3 && !standstills.some((ms) => ms < 100); tries++) {
    const loop = monitorEventLoopDelay({ resolution: 10 })
    loop.enable()
    jobId = await clustered(wikiId, longJob)
    loop.disable()
    standstills.push(loop.max / 1e6 - 10)
  }
  following.abort()
  await reading
  expect(Math.min(...standstills)).toBeLessThan(100)
  const told = seen.filter((one) => one.job_id === jobId && one.seconds_left !== undefined)
  expect(told.length).toBeGreaterThanOrEqual(1)
  expect(told.map((one) => one.done)).toEqual(told.map((one) => one.done).toSorted((a, b) => a - b))
  for (const { done, total } of told) expect(done).toBeLessThan(total)
}, 120_000)
