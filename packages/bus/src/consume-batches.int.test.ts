import { events, type MetricSample, toMessage } from '@tagloom/contracts'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BatchConsumption, Bus } from './index.ts'
import { openTestBus, whenDrained } from './testing.ts'

let bus: Bus & { readonly prefix: string }
let replica: Bus
let consumptions: BatchConsumption[]
beforeEach(async () => {
  bus = await openTestBus()
  replica = await openTestBus({ prefix: bus.prefix })
  consumptions = []
})
afterEach(async () => {
  await Promise.all(consumptions.map((consumption) => consumption.stop()))
  await Promise.all([bus.close(), replica.close()])
})

const sampleOf = (batch: number): MetricSample => ({
  wiki_id: 1,
  job_id: 'job',
  stage: 'embed',
  batch: String(batch),
  service: 'tagger',
  started_at: '2026-01-30T00:00:00.000Z',
  ended_at: '2026-01-30T00:00:01.000Z',
  duration_seconds: 1,
  counters: { pages_embedded: batch },
  gauges: {},
})
const messageOf = (batch: number) => toMessage(events.metricsSampled, sampleOf(batch), { source: 'tagger' })
const publishAll = (count: number) => Promise.all(Array.from({ length: count }, (_, at) => bus.publish(messageOf(at))))
const options = {
  events: [events.metricsSampled],
  durable: 'samples',
  fields: ['batch'],
  maxBatch: 10,
  keep: ({ batch }: { readonly batch: string }) => Number(batch),
} as const

const backlogOf = async () => (await bus.backlog()).find(({ durable }) => durable.endsWith('samples'))

test('what one replica acknowledges leaves to another what that one has in hand', async () => {
  const seen: number[] = []
  const released = Promise.withResolvers<void>()
  const slow = async (batches: readonly number[]) => {
    await released.promise
    seen.push(...batches)
  }
  consumptions.push(await replica.consumeBatches(options, slow))
  consumptions.push(await bus.consumeBatches(options, async (batches) => void seen.push(...batches)))
  await publishAll(200)
  let inFlight = 0
  await vi.waitFor(async () => {
    const backlog = await backlogOf()
    inFlight = backlog?.inFlight ?? 0
    expect(backlog?.pending).toBe(0)
    expect(inFlight + seen.length).toBe(200)
  }, 10_000)
  expect(inFlight).toBeGreaterThan(0)
  released.resolve()
  await whenDrained(bus)
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, at) => at))
})

test('a message that is not as declared is put aside with its reason, those around it are handled once', async () => {
  const seen: number[] = []
  await publishAll(5)
  const message = messageOf(5)
  await bus.publish({ ...message, body: message.body.replace('"pages_embedded":5', '"pages_embedded":-5') })
  await bus.publish(messageOf(6))
  consumptions.push(await bus.consumeBatches(options, async (batches) => void seen.push(...batches)))
  await whenDrained(bus)
  expect(seen).toEqual([0, 1, 2, 3, 4, 6])
  const [letter, ...more] = await bus.deadLetters()
  expect(more).toEqual([])
  expect(letter?.reason).toMatch(/^data of metrics\.sampled is not as declared: \/counters\/pages_embedded/)
})

test('of a batch that fails each is tried alone, and those that were handled are not handled again', async () => {
  const alone: number[] = []
  await publishAll(6)
  consumptions.push(
    await bus.consumeBatches(options, async (batches) => {
      if (batches.length > 1) throw new Error('not together')
      alone.push(...batches)
    }),
  )
  await whenDrained(bus)
  expect(alone.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5])
})

test('data that are read the long way are kept as JSON, too', async () => {
  const kept: unknown[] = []
  const sample = { ...sampleOf(0), batch: 'a "step"', details: { said: 'é' } }
  await bus.publish(toMessage(events.metricsSampled, sample, { source: 'tagger' }))
  await bus.publish(messageOf(1))
  const keep = (fields: object, json: Uint8Array) => ({ fields, sample: JSON.parse(Buffer.from(json).toString()) })
  consumptions.push(await bus.consumeBatches({ ...options, keep }, async (all) => void kept.push(...all)))
  await whenDrained(bus)
  expect(kept).toEqual([
    { fields: expect.objectContaining({ batch: 'a "step"' }), sample },
    { fields: { batch: '1' }, sample: sampleOf(1) },
  ])
})
