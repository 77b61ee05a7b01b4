import { events, toMessage } from '@tagloom/contracts'
import { startPrivateNats } from '@tagloom/local-servers/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bus, connectBus, type Message, Reject, RetryLater } from './index.ts'
import { openTestBus, whenDrained } from './testing.ts'

type EmbedMessage = Message<typeof events.embedBatch>

let bus: Bus & { prefix: string; url: string }
beforeAll(async () => {
  bus = await openTestBus()
})
afterAll(() => bus.close())

let jobs = 0
const newJob = () => `job${++jobs}`
const batchMessage = (job_id: string, batch: number, resend?: string) =>
  toMessage(events.embedBatch, { wiki_id: 1, job_id, batch }, { source: 'tagger' }, resend)

/** Runs `handle` on every embed batch of one job until everything is drained. */
async function handling(
  of: Bus,
  handle: (message: EmbedMessage) => Promise<void>,
  work: () => Promise<void>,
  more: object = {},
): Promise<void> {
  const consumption = await of.consume(
    { events: [events.embedBatch], durable: 'tagger-embed', concurrency: 2, backoffMs: [10], ...more },
    handle,
  )
  try {
    await work()
    await whenDrained(of)
  } finally {
    await consumption.stop(200)
  }
}

describe('publishing', () => {
  test('the same message id is taken once, a resend gets through', async () => {
    const job = newJob()
    const seen: string[] = []
    await handling(
      bus,
      async (m) => void seen.push(m.id),
      async () => {
        await bus.publish(batchMessage(job, 0))
        await bus.publish(batchMessage(job, 0))
        await bus.publish(batchMessage(job, 0, 'again'))
      },
    )
    expect(seen).toEqual([`${job}.embed.0`, `${job}.embed.0`])
  })
})

describe('a handler', () => {
  test('that throws RetryLater sees the message again', async () => {
    const counts: number[] = []
    const handle = async (m: EmbedMessage) => {
      counts.push(m.deliveryCount)
      if (m.deliveryCount < 3) throw new RetryLater(10, 'not yet')
    }
    await handling(bus, handle, () => bus.publish(batchMessage(newJob(), 0)))
    expect(counts).toEqual([1, 2, 3])
  })

  test('that rejects sends the message to the dead letters with its reason, once', async () => {
    const job = newJob()
    const told: string[] = []
    const handle = async (): Promise<void> => {
      throw new Reject('page 7 cannot be read')
    }
    await handling(bus, handle, () => bus.publish(batchMessage(job, 0)), {
      onDead: async (m: EmbedMessage, reason: string) => void told.push(`${m.data.job_id}: ${reason}`),
    })
    expect(told).toEqual([`${job}: page 7 cannot be read`])
    const letters = (await bus.deadLetters()).filter((letter) => letter.body.includes(`"${job}"`))
    expect(letters).toMatchObject([{ durable: 'tagger-embed', reason: 'page 7 cannot be read', deliveries: 1 }])
  })

  test('that keeps failing is given up after its deliveries', async () => {
    let tries = 0
    const handle = async (): Promise<void> => {
      tries++
      throw new Error('boom')
    }
    const reasons: string[] = []
    await handling(bus, handle, () => bus.publish(batchMessage(newJob(), 0)), {
      maxDeliver: 3,
      onDead: async (_: EmbedMessage, reason: string) => void reasons.push(reason),
    })
    expect(tries).toBe(3)
    expect(reasons).toEqual(['failed 3 times, last: boom'])
  })

  test('that takes longer than ack_wait keeps its message by heartbeats', async () => {
    let deliveries = 0
    const handle = async () => {
      deliveries++
      await new Promise((resolve) => setTimeout(resolve, 3_500))
    }
    await handling(bus, handle, () => bus.publish(batchMessage(newJob(), 0)), { ackWaitMs: 1_500 })
    expect(deliveries).toBe(1)
  })

  test('never sees a message that is not as declared', async () => {
    const bad = { ...batchMessage(newJob(), 0), body: '{"specversion":"1.0"}' }
    let called = false
    await handling(
      bus,
      async () => {
        called = true
      },
      () => bus.publish(bad),
    )
    expect(called).toBe(false)
    const reasons = (await bus.deadLetters()).map((letter) => letter.reason)
    expect(reasons.some((reason) => reason.startsWith('expected a CloudEvent'))).toBe(true)
  })
})

test('a redriven dead letter is handled, although its message id was seen before', async () => {
  const job = newJob()
  let healed = false
  const seen: string[] = []
  const handle = async (m: EmbedMessage) => {
    if (!healed) throw new Reject('broken')
    seen.push(m.id)
  }
  await handling(bus, handle, async () => {
    await bus.publish(batchMessage(job, 0))
    await whenDrained(bus)
    healed = true
    const letter = (await bus.deadLetters()).find((l) => l.body.includes(`"${job}"`))
    if (letter) await bus.redrive(letter)
  })
  expect(seen).toEqual([`${job}.embed.0`])
  expect((await bus.deadLetters()).some((l) => l.body.includes(`"${job}"`))).toBe(false)
})

test('two consumers share the work and none is done twice', async () => {
  const job = newJob()
  const by: Record<string, number> = { a: 0, b: 0 }
  const ids = new Set<string>()
  const other = await openTestBus({ prefix: bus.prefix })
  const { promise: bothHaveSome, resolve: haveBoth } = Promise.withResolvers<void>()
  const worker = (name: string) => async (m: EmbedMessage) => {
    by[name] = (by[name] ?? 0) + 1
    ids.add(m.id)
    if (by.a && by.b) haveBoth()
    await bothHaveSome
  }
  await handling(other, worker('b'), () =>
    handling(bus, worker('a'), async () => {
      for (let i = 0; i < 40; i++) await bus.publish(batchMessage(job, i))
    }),
  )
  await other.close()
  expect(ids.size).toBe(40)
  expect((by.a ?? 0) + (by.b ?? 0)).toBe(40)
  expect(Math.min(by.a ?? 0, by.b ?? 0)).toBeGreaterThan(0)
})

test('a stopped consumer hands back what it cannot finish', async () => {
  const job = newJob()
  let began = () => {}
  const beginning = new Promise<void>((resolve) => {
    began = resolve
  })
  const consumption = await bus.consume(
    { events: [events.embedBatch], durable: 'tagger-embed', concurrency: 1 },
    (m) => {
      began()
      return new Promise((_, reject) => m.signal.addEventListener('abort', () => reject(m.signal.reason)))
    },
  )
  await bus.publish(batchMessage(job, 0))
  await beginning
  await consumption.stop(50)
  const seen: string[] = []
  await handling(
    bus,
    async (m) => void seen.push(m.id),
    async () => {},
  )
  expect(seen).toEqual([`${job}.embed.0`])
})

test('what is followed can be resumed where it ended', async () => {
  const job_id = newJob()
  const progress = (done: number) =>
    toMessage(
      events.jobProgressed,
      { wiki_id: 9, job_id, stage: 'embed', done, total: 9, unit: 'pages' },
      { source: 'tagger' },
    )
  const take = async (count: number, fromSequence?: number) => {
    const stop = new AbortController()
    const got: { sequence: number; done: number }[] = []
    const following = (async () => {
      for await (const { sequence, envelope } of bus.follow({
        subjects: ['tagloom.v1.9.job.*'],
        signal: stop.signal,
        ...(fromSequence ? { fromSequence } : {}),
      })) {
        got.push({ sequence, done: (envelope.data as { done: number }).done })
        if (got.length === count) stop.abort()
      }
    })()
    return { got, following }
  }
  for (const done of [1, 2, 3, 4]) await bus.publish(progress(done))
  const first = await take(2, 1)
  await first.following
  const second = await take(2, (first.got[1]?.sequence ?? 0) + 1)
  await second.following
  expect([...first.got, ...second.got].map((g) => g.done)).toEqual([1, 2, 3, 4])
})

test('values of a bucket end with their time to live', async () => {
  const kv = await bus.openKeyValue('clustering_metrics', { ttlMs: 1_000 })
  await kv.put('1.job', { pages: 3 })
  expect(await kv.get('1.job')).toEqual({ pages: 3 })
  await expect.poll(() => kv.get('1.job'), { timeout: 10_000 }).toBeUndefined()
})

describe('a server that has a bad day', () => {
  test('restarts: consumers go on by themselves', async () => {
    const server = await startPrivateNats()
    const own = await connectBus({ url: server.url, name: 'test' })
    const seen: string[] = []
    const consumption = await own.consume(
      { events: [events.embedBatch], durable: 'tagger-embed', concurrency: 1 },
      async (m) => void seen.push(m.id),
    )
    await server.restart()
    await expect
      .poll(
        () =>
          own.publish(batchMessage('restart', 0)).then(
            () => seen.length,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(1)
    await consumption.stop(100)
    await own.close()
    await server.stop()
  })

  test('loses its store: streams and consumers are made again', async () => {
    const server = await startPrivateNats()
    const own = await connectBus({ url: server.url, name: 'test' })
    const seen: string[] = []
    const consumption = await own.consume(
      { events: [events.embedBatch], durable: 'tagger-embed', concurrency: 1 },
      async (m) => void seen.push(m.id),
    )
    await server.wipe()
    await server.start()
    let n = 0
    await expect
      .poll(
        () =>
          own.publish(batchMessage('wiped', n++)).then(
            () => seen.length,
            () => 0,
          ),
        { timeout: 25_000 },
      )
      .toBeGreaterThan(0)
    await consumption.stop(100)
    await own.close()
    await server.stop()
  })

  test('is not there: the error says where it was looked for', async () => {
    await expect(connectBus({ url: 'nats://127.0.0.1:1', name: 'test', connectTimeoutMs: 300 })).rejects.toThrow(
      /cannot be reached at nats:\/\/127.0.0.1:1.*check NATS_URL/,
    )
  })
})
