import type { Bus } from '@tagloom/bus'
import { openTestBus } from '@tagloom/bus/testing'
import type { MetricSample, RunRecord } from '@tagloom/contracts'
import { useRedis } from '@tagloom/local-servers/testing'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type LiveRecords, openLiveRecords } from './live-records.ts'

let bus: Bus
beforeAll(async () => {
  bus = await openTestBus()
})
afterAll(() => bus.close())

const record = (job_id: string, received: number) =>
  ({ version: 1, wiki_id: 7, job_id, samples: { received, expected: null } }) as RunRecord
const sample = (job_id: string, batch: string, ended_at: string) =>
  ({ wiki_id: 7, job_id, stage: 'label', batch, ended_at }) as MetricSample

async function keepsTheLastOfEach(live: LiveRecords, jobId: string): Promise<void> {
  expect(await live.get(7, jobId)).toBeUndefined()
  await live.put(record(jobId, 1))
  await live.put(record(jobId, 2))
  expect(await live.get(7, jobId)).toEqual(record(jobId, 2))
  await live.putSamples([sample(jobId, '0', 'a'), sample(jobId, 'named step: 1', 'a'), sample(jobId, '0', 'b')])
  await live.putSamples([sample(`${jobId}x`, '0', 'c')])
  const kept = await live.samples(7, jobId)
  expect(kept.map(({ batch, ended_at }) => `${batch} ${ended_at}`).sort()).toEqual(['0 b', 'named step: 1 a'])
}

describe('live records in NATS', () => {
  it('keep the last record of a job and one sample for each key', async () => {
    await keepsTheLastOfEach(await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 }), 'cluster_wiki_7_a')
  })

  it('are gone after their time', async () => {
    const own = await openTestBus()
    const live = await openLiveRecords({ bus: own, redisUrl: '', ttlSeconds: 1 })
    await live.put(record('brief', 1))
    expect(await live.get(7, 'brief')).toBeDefined()
    await vi.waitUntil(async () => (await live.get(7, 'brief')) === undefined, { timeout: 10_000, interval: 100 })
    await own.close()
  })
})

describe('live records in Redis', () => {
  it('are under the same name with colons, and expire', async (context) => {
    const server = await useRedis()
    if ('unavailable' in server) return context.skip(server.unavailable)
    const live = await openLiveRecords({ bus, redisUrl: server.url, ttlSeconds: 60 })
    const jobId = `cluster_wiki_7_${Date.now()}`
    await keepsTheLastOfEach(live, jobId)
    const client = createClient({ url: server.url })
    await client.connect()
    expect(await client.ttl(`clustering_metrics:7:${jobId}`)).toBeGreaterThan(50)
    expect(await client.ttl(`clustering_metrics:7:${jobId}:samples`)).toBeGreaterThan(50)
    await client.close()
    await live.close()
  })

  it('are gone after their time, and so are their samples', async (context) => {
    const server = await useRedis()
    if ('unavailable' in server) return context.skip(server.unavailable)
    const live = await openLiveRecords({ bus, redisUrl: server.url, ttlSeconds: 1 })
    const jobId = `brief_${Date.now()}`
    await live.put(record(jobId, 1))
    await live.putSamples([sample(jobId, '0', 'a')])
    expect(await live.get(7, jobId)).toBeDefined()
    expect(await live.samples(7, jobId)).toHaveLength(1)
    const gone = async () => (await live.get(7, jobId)) === undefined && (await live.samples(7, jobId)).length === 0
    await vi.waitUntil(gone, { timeout: 10_000, interval: 100 })
    await live.close()
  })

  it('say which server cannot be reached', async () => {
    const away = openLiveRecords({ bus, redisUrl: 'redis://127.0.0.1:1', ttlSeconds: 60 })
    await expect(away).rejects.toThrow(/Redis cannot be reached at 127\.0\.0\.1:1 .*check REDIS_URL/)
  }, 20_000)
})
