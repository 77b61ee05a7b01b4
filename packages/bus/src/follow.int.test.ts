import { events, toMessage } from '@tagloom/contracts'
import { startPrivateNats } from '@tagloom/local-servers/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Bus, connectBus } from './index.ts'
import { openTestBus } from './testing.ts'

let bus: Bus & { prefix: string; url: string }
beforeAll(async () => {
  bus = await openTestBus()
})
afterAll(() => bus.close())

const cancelled = (job_id: string) =>
  toMessage(events.jobCancelled, { wiki_id: 1, job_id, reason: 'test' }, { source: 'gateway' })
const subjects = [events.jobCancelled.filter]

/** Collects what is followed until `stop`. */
function collect(of: Bus, fromSequence?: number) {
  const jobs: string[] = []
  const abort = new AbortController()
  const done = (async () => {
    const followed = of.follow({
      subjects,
      signal: abort.signal,
      ...(fromSequence === undefined ? {} : { fromSequence }),
    })
    for await (const { envelope } of followed) jobs.push((envelope.data as { job_id: string }).job_id)
  })()
  const stop = async () => {
    abort.abort()
    await done
  }
  return { jobs, stop }
}
const until = (check: () => boolean, timeout = 20_000) => vi.waitFor(() => expect(check()).toBe(true), timeout)

test('what cannot be read is left out, and what comes after it is seen', async () => {
  const seen = collect(bus, 1)
  await bus.publish(cancelled('before'))
  await bus.publish({ ...cancelled('broken'), body: '{"not":' })
  await bus.publish({ ...cancelled('empty'), body: cancelled('empty').body.replace(/"data":.*$/, '"data":null}') })
  await bus.publish(cancelled('after'))
  await until(() => seen.jobs.length === 2)
  expect(seen.jobs).toEqual(['before', 'after'])
  await seen.stop()
})

test('a place beyond the end sees only what comes from now on', async () => {
  await bus.publish(cancelled('old'))
  const seen = collect(bus, 1_000_000)
  await until(() => {
    void bus.publish({ ...cancelled('new'), messageId: String(Math.random()) })
    return seen.jobs.length > 0
  })
  expect(new Set(seen.jobs)).toEqual(new Set(['new']))
  await seen.stop()
})

test('every follower sees every event', async () => {
  const both = [collect(bus, 1), collect(bus, 1)]
  await bus.publish(cancelled('shared'))
  await until(() => both.every((one) => one.jobs.includes('shared')))
  for (const one of both) await one.stop()
})

test('following ends when the bus is closed', async () => {
  const own = await openTestBus({ prefix: bus.prefix })
  const seen = collect(own, 1)
  await until(() => seen.jobs.length > 0)
  await own.close()
  await seen.stop()
})

test('goes on where it was after a restart of the server, and anew after its store was wiped', async () => {
  const server = await startPrivateNats()
  const own = await connectBus({ url: server.url, name: 'test' })
  const publish = (job: string) => vi.waitFor(() => own.publish(cancelled(job)), 30_000)
  const seen = collect(own, 1)
  await publish('first')
  await until(() => seen.jobs.length === 1)
  await server.restart()
  await publish('second')
  await until(() => seen.jobs.includes('second'))
  await server.wipe()
  await server.start()
  await publish('third')
  await until(() => seen.jobs.includes('third'))
  expect(seen.jobs).toEqual(['first', 'second', 'third'])
  await seen.stop()
  await own.close()
  await server.stop()
}, 90_000)
