import { Registry } from '@prometheus-io/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watchEventLoop } from './event-loop.ts'
import { type CapturedLog, captureLog } from './testing.ts'

let log: CapturedLog
let watch: { stop(): void }
beforeEach(async () => {
  log = captureLog()
  watch = watchEventLoop(new Registry(), log)
  // The first looks at the delay begin with the first turns of the loop.
  await new Promise(setImmediate)
})
afterEach(() => watch.stop())

const blockedMs = 250
const told = () =>
  expect
    .poll(() => log.of('event_loop_blocked')[0], { timeout: 5_000 })
    .toMatchObject({
      blocked_ms: expect.any(Number),
    })

test('work that holds the event loop is told with the processor time that it took', async () => {
  const from = process.threadCpuUsage()
  const used = () => {
    const { user, system } = process.threadCpuUsage(from)
    return (user + system) / 1_000
  }
  await new Promise<void>((done) =>
    setTimeout(() => {
      while (used() < blockedMs);
      done()
    }, 50),
  )
  await told()
  expect(log.of('event_loop_blocked')[0]?.cpu_ms).toBeGreaterThanOrEqual(blockedMs - 60)
})

test('a thread that was not let run is told with next to no processor time', async () => {
  await new Promise<void>((done) =>
    setTimeout(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockedMs)
      done()
    }, 50),
  )
  await told()
  expect(log.of('event_loop_blocked')[0]?.cpu_ms).toBeLessThan(100)
})
