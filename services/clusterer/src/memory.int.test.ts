import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { completeJob, readClusteringFigures } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { environment } from './config.ts'
import { embeddedJob, giveManyPages } from './testing.ts'

const pages = 6_000
const width = 384
const vectorsMb = (pages * width * Float32Array.BYTES_PER_ELEMENT) / 2 ** 20

let deps: TestDeps<typeof environment>
let clusterer: ChildProcess
let wikiId: number
beforeAll(async () => {
  deps = await openTestDeps('clusterer', environment)
  wikiId = await createTestWiki(deps.db)
  await giveManyPages(deps.db, wikiId, pages, 40, width)
  clusterer = spawn(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      ORT_DISABLE_TELEMETRY: '1',
      DATABASE_URL: deps.config.DATABASE_URL,
      NATS_URL: deps.config.NATS_URL,
      NATS_PREFIX: deps.config.NATS_PREFIX,
      PORT: '0',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}, 60_000)
afterAll(async () => {
  clusterer.kill('SIGTERM')
  if (clusterer.exitCode === null) await once(clusterer, 'exit')
  await deps.close()
})

async function clusterAll(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const { jobId, send } = await embeddedJob(deps, wikiId)
    await send()
    await expect.poll(() => readClusteringFigures(deps.db, jobId), { timeout: 60_000 }).toBeTruthy()
    await deps.db.transaction((tx) => completeJob(tx, jobId, {}))
  }
}

const residentMb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${clusterer.pid}/status`, 'utf8'))?.[1]) / 1_024

/** Resident memory once it has not fallen for two seconds. */
async function settledMb(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  let fellAt = performance.now()
  await expect
    .poll(
      () => {
        if (residentMb() < least - 1) fellAt = performance.now()
        least = Math.min(least, residentMb())
        return performance.now() - fellAt > 2_000
      },
      { timeout: 60_000, interval: 100 },
    )
    .toBe(true)
  return least
}

test.skipIf(process.platform !== 'linux')(
  'jobs give their memory back: four more leave less than half of the vectors of one each',
  async () => {
    await clusterAll(3)
    const before = await settledMb()
    await clusterAll(4)
    expect((await settledMb()) - before).toBeLessThan((4 * vectorsMb) / 2)
  },
  180_000,
)
