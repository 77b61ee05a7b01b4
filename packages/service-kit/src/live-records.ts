import type { Bus, KeyValue } from '@tagloom/bus'
import type { MetricSample, RunRecord } from '@tagloom/contracts'

/**
 * Records of jobs as they run, for METRICS_TTL_SECONDS: in the NATS bucket `clustering_metrics` under `{wiki_id}.{job_id}`
 * (NATS allows no colon), or where REDIS_URL is set in Redis under `clustering_metrics:{wiki_id}:{job_id}`.
 * With STORE_METRICS_IN_DB=false their samples live beside them, one value for each (job, stage, batch).
 */
export interface LiveRecords {
  put(record: RunRecord): Promise<void>
  get(wikiId: number, jobId: string): Promise<RunRecord | undefined>
  putSamples(samples: readonly MetricSample[]): Promise<void>
  samples(wikiId: number, jobId: string): Promise<MetricSample[]>
  close(): Promise<void>
}

export interface LiveRecordsOptions {
  readonly bus: Bus
  /** '' for the NATS bucket */
  readonly redisUrl: string
  readonly ttlSeconds: number
  /** Told when the connection to Redis breaks; the client tries again by itself */
  readonly onRedisError?: (error: Error) => void
}

export const openLiveRecords = (options: LiveRecordsOptions): Promise<LiveRecords> =>
  options.redisUrl ? inRedis(options) : inNats(options)

async function inNats({ bus, ttlSeconds }: LiveRecordsOptions): Promise<LiveRecords> {
  const ttlMs = ttlSeconds * 1000
  const records = await bus.openKeyValue('clustering_metrics', { ttlMs })
  let opened: Promise<KeyValue> | undefined
  const samples = () => (opened ??= bus.openKeyValue('clustering_metric_samples', { ttlMs }))
  return {
    put: (record) => records.put(`${record.wiki_id}.${record.job_id}`, record),
    get: async (wikiId, jobId) => (await records.get(`${wikiId}.${jobId}`)) as RunRecord | undefined,
    putSamples: async (given) => {
      const bucket = await samples()
      for (const sample of given)
        await bucket.put(`${sample.wiki_id}.${sample.job_id}.${sample.stage}.${keyToken(sample.batch)}`, sample)
    },
    samples: async (wikiId, jobId) => (await (await samples()).list(`${wikiId}.${jobId}.>`)) as MetricSample[],
    close: async () => {},
  }
}

/** A key's token holds letters, digits, '-', '_' and '='; anything else is written as its code. */
const keyToken = (text: string): string =>
  text.replace(/[^A-Za-z0-9_-]/gu, (character) => `=${(character.codePointAt(0) as number).toString(16)}=`)

const redisTimeoutMs = 5_000

async function inRedis({ redisUrl, ttlSeconds, onRedisError }: LiveRecordsOptions): Promise<LiveRecords> {
  // Loaded where it is wanted: it takes a tenth of a service's start.
  const { createClient } = await import('redis')
  const client = createClient({
    url: redisUrl,
    commandOptions: { timeout: redisTimeoutMs },
    socket: { connectTimeout: redisTimeoutMs, reconnectStrategy: (tries) => Math.min(5_000, 100 * 2 ** tries) },
    disableOfflineQueue: true,
  })
  client.on('error', (error: Error) => onRedisError?.(error))
  await connectWithin(client, redisUrl)
  const key = (wikiId: number, jobId: string) => `clustering_metrics:${wikiId}:${jobId}`
  return {
    put: async (record) => {
      await client.set(key(record.wiki_id, record.job_id), JSON.stringify(record), {
        expiration: { type: 'EX', value: ttlSeconds },
      })
    },
    get: async (wikiId, jobId) => {
      const text = await client.get(key(wikiId, jobId))
      return text === null ? undefined : (JSON.parse(text) as RunRecord)
    },
    putSamples: async (given) => {
      for (const sample of given) {
        const hash = `${key(sample.wiki_id, sample.job_id)}:samples`
        await client
          .multi()
          .hSet(hash, `${sample.stage}/${sample.batch}`, JSON.stringify(sample))
          .expire(hash, ttlSeconds)
          .exec()
      }
    },
    samples: async (wikiId, jobId) =>
      (await client.hVals(`${key(wikiId, jobId)}:samples`)).map((text) => JSON.parse(text) as MetricSample),
    close: async () => {
      client.destroy()
    },
  }
}

async function connectWithin(client: { connect(): Promise<unknown>; destroy(): void }, url: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer within 10 s')), 10_000)
  })
  try {
    await Promise.race([client.connect(), tooLong])
  } catch (cause) {
    client.destroy()
    const at = new URL(url)
    throw new Error(
      `Redis cannot be reached at ${at.host} (${(cause as Error).message}): check REDIS_URL and that the server runs`,
      {
        cause,
      },
    )
  } finally {
    clearTimeout(timer)
  }
}
