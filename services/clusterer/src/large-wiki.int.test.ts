import { completeJob, readClusteringFigures } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { environment } from './config.ts'
import { embeddedJob, giveManyPages } from './testing.ts'

const pages = 20_000
let deps: TestDeps<typeof environment>
let app: FastifyInstance
let wikiId: number
beforeAll(async () => {
  deps = await openTestDeps('clusterer', environment, { INFERENCE_THREADS: '1' })
  app = await buildApp(deps)
  await app.ready()
  wikiId = await createTestWiki(deps.db)
  await giveManyPages(deps.db, wikiId, pages, 120)
}, 120_000)
afterAll(async () => {
  await app.close()
  await deps.close()
})

async function clusterAll(): Promise<void> {
  const { jobId, send } = await embeddedJob(deps, wikiId)
  await send()
  await expect.poll(() => readClusteringFigures(deps.db, jobId), { timeout: 90_000 }).toBeTruthy()
  await deps.db.transaction((tx) => completeJob(tx, jobId, {}))
}

/**
 * Processor time of this thread from one firing of a timer to the next, the longest since the start. Unlike the clock it does not count
 * what other processes took: a turn of 100 ms here is 100 ms of this service's own work.
 */
function watchTurns(): { longestMs(): number } {
  let longest = 0
  let before = process.threadCpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(before)
    before = process.threadCpuUsage()
    longest = Math.max(longest, (user + system) / 1_000)
  }, 1)
  return {
    longestMs() {
      clearInterval(timer)
      return longest
    },
  }
}

test('the event loop is never held for 100 ms of processor time: 20,000 pages are read, clustered, matched and stored', async () => {
  await clusterAll()
  const turns = watchTurns()
  await clusterAll()
  expect(turns.longestMs()).toBeLessThan(100)
}, 240_000)
