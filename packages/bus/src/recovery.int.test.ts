import { events, sampleKey, toMessage } from '@tagloom/contracts'
import { startPrivateNats } from '@tagloom/local-servers/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Bus, type BusLog, type Consumption, connectBus } from './index.ts'
import { openTestBus, whenDrained } from './testing.ts'

let bus: Bus & { prefix: string; url: string }
beforeAll(async () => {
  bus = await openTestBus()
})
afterAll(() => bus.close())

const batch = (job_id: string, no: number) =>
  toMessage(events.embedBatch, { wiki_id: 1, job_id, batch: no }, { source: 'tagger' })
const sample = (job_id: string, no: number) => {
  const times = { started_at: '2026-01-01T00:00:00Z', ended_at: '2026-01-01T00:00:01Z', duration_seconds: 1 }
  const of = { wiki_id: 1, job_id, stage: 'embed', batch: String(no), service: 'tagger' } as const
  return toMessage(events.metricsSampled, { ...of, ...times, counters: {}, gauges: {} }, { source: 'tagger' })
}
const forever = () => new Promise<never>(() => {})
const until = (check: () => boolean) => vi.waitFor(() => expect(check()).toBe(true), 25_000)

describe('stopping', () => {
  test('is bounded when a handler does not mind its signal, and the message goes to another at once', async () => {
    const options = { events: [events.embedBatch], durable: 'stubborn', concurrency: 1 }
    const stubborn = await bus.consume(options, forever)
    await bus.publish(batch('stubborn', 0))
    await until(() => stubborn.inHand === 1)
    const began = performance.now()
    await stubborn.stop(100)
    expect(performance.now() - began).toBeLessThan(2_000)

    const seen: string[] = []
    const other = await bus.consume(options, async ({ id }) => void seen.push(id))
    await until(() => seen.length === 1)
    await other.stop()
  })

  test('waits for what is in hand as long as it may', async () => {
    let finished = false
    const { promise: mayFinish, resolve: finish } = Promise.withResolvers<void>()
    const consumption = await bus.consume(
      { events: [events.labelBatch], durable: 'finishing', concurrency: 1 },
      async () => {
        await mayFinish
        finished = true
      },
    )
    await bus.publish(toMessage(events.labelBatch, { wiki_id: 1, job_id: 'j', batch: 0 }, { source: 'tagger' }))
    await until(() => consumption.inHand === 1)
    const stopping = consumption.stop(5_000)
    finish()
    await stopping
    expect(finished).toBe(true)
    await whenDrained(bus)
  })
})

test('a message whose process died comes to another after its ack_wait', async () => {
  const options = { events: [events.propagateBatch], durable: 'dying', concurrency: 1, ackWaitMs: 1_000 }
  const dying = await openTestBus({ prefix: bus.prefix })
  const held = await dying.consume(options, forever)
  await bus.publish(toMessage(events.propagateBatch, { wiki_id: 1, job_id: 'j', batch: 0 }, { source: 'tagger' }))
  await until(() => held.inHand === 1)
  await dying.close()
  const deliveries: number[] = []
  const other = await bus.consume(options, async ({ deliveryCount }) => void deliveries.push(deliveryCount))
  await until(() => deliveries.length > 0)
  expect(deliveries).toEqual([2])
  await other.stop()
})

test('a dead message comes again until it could be put aside', async () => {
  let told = 0
  const warnings: string[] = []
  const log: BusLog = { event: (name) => void warnings.push(name) }
  const own = await openTestBus({ log })
  const consumption = await own.consume(
    {
      events: [events.embedBatch],
      durable: 'burying',
      concurrency: 1,
      maxDeliver: 1,
      onDead: async () => {
        if (++told === 1) throw new Error('the database is away')
      },
    },
    async () => {
      throw new Error('boom')
    },
  )
  await own.publish(batch('burying', 0))
  await until(() => told === 2)
  await whenDrained(own)
  expect(warnings.filter((name) => name.startsWith('message_'))).toEqual(['message_retried', 'message_dead'])
  expect(await own.deadLetters()).toHaveLength(1)
  await consumption.stop()
  await own.close()
})

test('prefixes keep installations on one server apart', async () => {
  const [one, two] = await Promise.all([openTestBus(), openTestBus()])
  const seen: string[] = []
  const options = { events: [events.embedBatch], durable: 'apart', concurrency: 1 }
  const consumptions = await Promise.all([
    one.consume(options, async ({ id }) => void seen.push(`one ${id}`)),
    two.consume(options, async ({ id }) => void seen.push(`two ${id}`)),
  ])
  await one.publish(batch('mine', 0))
  await until(() => seen.length === 1)
  await whenDrained(two)
  expect(seen).toEqual(['one mine.embed.0'])
  await Promise.all(consumptions.map((consumption) => consumption.stop()))
  await Promise.all([one.close(), two.close()])
})

test('a wiped store is made again: streams, both kinds of consumers, buckets; nothing spins meanwhile', async () => {
  const server = await startPrivateNats()
  const lines: string[] = []
  const own = await connectBus({ url: server.url, name: 'test', log: { event: (name) => void lines.push(name) } })
  const seen = new Set<string>()
  const consumptions: (Consumption | { stop(): Promise<void> })[] = [
    await own.consume(
      { events: [events.embedBatch], durable: 'a', concurrency: 2 },
      async ({ id }) => void seen.add(id),
    ),
    await own.consumeBatches(
      {
        events: [events.metricsSampled],
        durable: 'b',
        maxBatch: 10,
        fields: ['job_id', 'stage', 'batch'],
        keep: sampleKey,
      },
      async (keys) => {
        for (const key of keys) seen.add(key)
      },
    ),
  ]
  const bucket = await own.openKeyValue('values', { ttlMs: 60_000 })
  await bucket.put('1.job', 1)
  await server.wipe()
  await server.start()
  await vi.waitFor(() => own.publish(batch('wiped', 0)), 30_000)
  await vi.waitFor(() => own.publish(sample('wiped', 0)), 30_000)
  await until(() => seen.size === 2)
  await bucket.put('1.job', 2)
  expect(await bucket.get('1.job')).toBe(2)
  expect(lines).toEqual(expect.arrayContaining(['connection_lost', 'connection_restored', 'streams_reconciled']))
  expect(lines.filter((name) => name === 'consumer_recovering').length).toBeLessThan(40)
  await Promise.all(consumptions.map((consumption) => consumption.stop()))
  await own.close()
  await server.stop()
}, 90_000)
