import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Bus } from '@tagloom/bus'
import { openTestBus } from '@tagloom/bus/testing'
import { events, type MetricSample, type RunRecord, toMessage } from '@tagloom/contracts'
import { type Database, listAlerts, readDeliveries, readJob, readRecord, readTransitions } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { openLiveRecords } from '@tagloom/service-kit/live-records'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { recordOf } from './records/job-record.ts'
import { completedJob, type RunFigures, samplesOf } from './testing.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
/** KILLINGS=20 for the long form */
const killings = Number(process.env.KILLINGS ?? 5)
const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`

let db: Database & { url: string }
let bus: Bus & { prefix: string; url: string }
const processes = new Set<ChildProcess>()

beforeAll(async () => {
  db = await openTestDatabase()
  bus = await openTestBus()
})
afterEach(async () => {
  for (const child of processes) await kill(child)
})
afterAll(async () => {
  await bus.close()
  await db.close()
})

/** The real process, ready to work. */
async function start(
  env: Record<string, string> = {},
): Promise<ChildProcess & { readonly lines: Record<string, unknown>[] }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    env: { PATH: process.env.PATH, DATABASE_URL: db.url, NATS_URL: bus.url, NATS_PREFIX: bus.prefix, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  processes.add(child)
  const lines: Record<string, unknown>[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) lines.push(JSON.parse(part))
  })
  await until(async () => {
    if (child.exitCode !== null)
      throw new Error(`the aggregator ended with ${child.exitCode}: ${JSON.stringify(lines)}`)
    return lines.some((line) => line.event === 'service_ready')
  })
  return Object.assign(child, { lines })
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  processes.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

async function until(holds: () => Promise<boolean>, withinMs = 20_000): Promise<number> {
  const started = Date.now()
  while (!(await holds())) {
    if (Date.now() - started > withinMs) throw new Error(`it did not hold within ${withinMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return Date.now() - started
}

const context = { source: 'test' }
const publishSample = (sample: MetricSample) => bus.publish(toMessage(events.metricsSampled, sample, context))
const complete = (wiki_id: number, job_id: string, samples = 5) =>
  bus.publish(
    toMessage(
      events.jobCompleted,
      { wiki_id, job_id, pages_processed: 100, pages_tagged: 100, tags_applied: 300, samples },
      context,
    ),
  )

async function run(wikiId: number, figures: RunFigures): Promise<{ jobId: string; samples: MetricSample[] }> {
  const jobId = await completedJob(db, wikiId)
  const samples = samplesOf(wikiId, jobId, figures)
  for (const sample of samples) await publishSample(sample)
  await complete(wikiId, jobId)
  return { jobId, samples }
}

/** A receiver of webhooks that answers as it is told. */
async function receiver(answer: (request: IncomingMessage, response: ServerResponse, nth: number) => void) {
  const taken: { key: string; type: string; alertId: number }[] = []
  let requests = 0
  const server = createServer(async (request, response) => {
    const nth = requests++
    const body = Buffer.concat(await request.toArray()).toString()
    const verified = new Webhook(secret).verify(body, request.headers as Record<string, string>) as {
      type: string
      data: { alert_id: number }
    }
    response.on('finish', () => {
      if (response.statusCode < 300)
        taken.push({
          key: request.headers['webhook-id'] as string,
          type: verified.type,
          alertId: verified.data.alert_id,
        })
    })
    answer(request, response, nth)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    taken,
    env: {
      ALERT_ALLOW_PRIVATE_ADDRESSES: 'true',
      ALERT_TIMEOUT_MS: '500',
      ALERT_RECEIVERS: JSON.stringify([{ name: 'hook', type: 'webhook', url, secret }]),
    },
    close: () => server.close(),
  }
}

describe('the aggregator', () => {
  it('keeps the live record within a second of the work, and stores it when the job is done', async () => {
    const wikiId = await createTestWiki(db)
    const child = await start()
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const jobId = await completedJob(db, wikiId)
    const [embed, ...others] = samplesOf(wikiId, jobId)
    await publishSample(embed as MetricSample)
    const sentAt = Date.now()
    await until(async () => (await live.get(wikiId, jobId))?.performance.pages_embedded === 100)
    expect(Date.now() - sentAt).toBeLessThan(1_000)
    for (const sample of [...others].reverse()) await publishSample(sample)
    await complete(wikiId, jobId)
    await until(async () => (await readRecord(db, jobId)) !== undefined)
    expect((await readRecord(db, jobId))?.samples).toEqual({ received: 5, expected: 5 })
    await until(async () => (await live.get(wikiId, jobId))?.samples.expected === 5)
    await kill(child, 'SIGTERM')
    expect(child.exitCode).toBe(0)
  })

  it('neither takes nor stores anything with ENABLE_METRICS=false', async () => {
    const wikiId = await createTestWiki(db)
    const child = await start({ ENABLE_METRICS: 'false' })
    const { jobId } = await run(wikiId, { silhouette: 0.1 })
    await kill(child, 'SIGTERM')
    const { rows } = await db.pool.query('select 1 from metric_samples where job_id = $1', [jobId])
    expect(rows).toEqual([])
    expect(await readRecord(db, jobId)).toBeUndefined()
  })

  it('keeps records live only with STORE_METRICS_IN_DB=false, and raises alerts all the same', async () => {
    const wikiId = await createTestWiki(db)
    await start({ STORE_METRICS_IN_DB: 'false' })
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const { jobId } = await run(wikiId, { silhouette: 0.1 })
    await until(async () => (await listAlerts(db, { wikiId, limit: 9 })).length === 1)
    await until(async () => (await live.get(wikiId, jobId))?.samples.received === 5)
    const { rows } = await db.pool.query('select 1 from metric_samples where job_id = $1', [jobId])
    expect(rows).toEqual([])
    expect(await readRecord(db, jobId)).toBeUndefined()
  })

  it('says in the log what fired and what to do, with the ids of the job', async () => {
    const wikiId = await createTestWiki(db)
    const child = await start()
    const { jobId } = await run(wikiId, { silhouette: 0.1 })
    await until(async () => child.lines.some((line) => line.event === 'quality_alert' && line.wiki_id === wikiId))
    const line = child.lines.find((candidate) => candidate.event === 'quality_alert' && candidate.wiki_id === wikiId)
    expect(line).toMatchObject({ level: 'WARNING', job_id: jobId, rule: 'silhouette-low', value: 0.1, threshold: 0.2 })
  })

  it(`makes the same records and alerts when it is killed ${killings} times during 10 jobs`, async () => {
    const wikiId = await createTestWiki(db)
    const hook = await receiver((_request, response) => response.writeHead(204).end())
    const silhouettes = [0.5, 0.1, 0.1, 0.5, 0.5, 0.5, 0.1, 0.5, 0.5, 0.5]
    const jobs: { jobId: string; samples: MetricSample[] }[] = []
    let killed = 0
    const killing = (async () => {
      for (; killed < killings; killed++) {
        const child = await start(hook.env)
        await new Promise((resolve) => setTimeout(resolve, 50 + ((killed * 7919) % 400)))
        await kill(child)
      }
    })()
    for (const [at, silhouette] of silhouettes.entries()) {
      jobs.push(await run(wikiId, { silhouette }))
      await until(async () => killed >= ((at + 1) * killings) / silhouettes.length, 60_000)
    }
    await killing
    await start(hook.env)
    const last = jobs.at(-1)?.jobId as string
    await until(async () => (await readRecord(db, last)) !== undefined, 60_000)
    for (const { jobId, samples } of jobs) {
      const job = await readJob(db, jobId)
      const undisturbed: RunRecord = recordOf(job as NonNullable<typeof job>, samples, 5, new Date())
      expect(await readRecord(db, jobId)).toEqual(JSON.parse(JSON.stringify(undisturbed)))
    }
    const alerts = (await listAlerts(db, { wikiId, limit: 99 })).filter((alert) => alert.rule === 'silhouette-low')
    expect(alerts.map((alert) => alert.state)).toEqual(['resolved', 'resolved'])
    for (const alert of alerts)
      expect((await readTransitions(db, [alert.id])).map((step) => step.toState)).toEqual(['firing', 'resolved'])
    const expected = (await listAlerts(db, { wikiId, limit: 99 })).flatMap((alert) => [
      ...(alert.raisedAt ? [`alert.${alert.id}.raised.hook`] : []),
      ...(alert.raisedAt && alert.state === 'resolved' ? [`alert.${alert.id}.resolved.hook`] : []),
    ])
    await until(async () => new Set(hook.taken.map(({ key }) => key)).size >= expected.length)
    expect([...new Set(hook.taken.map(({ key }) => key))].sort()).toEqual(expected.sort())
    hook.close()
  }, 180_000)

  it('brings an alert and its resolve, in this order, to a receiver that fails in ten ways', async () => {
    const wikiId = await createTestWiki(db)
    const ways: ((response: ServerResponse, request: IncomingMessage) => void)[] = [
      (response) => response.writeHead(500).end('broken'),
      (response) => response.writeHead(503, { 'retry-after': '1' }).end(),
      (response) => response.writeHead(429, { 'retry-after': '0' }).end(),
      (response) => response.writeHead(404).end(),
      (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      (response) => response.destroy(),
      (_, request) => request.socket.end('this is no HTTP\r\n\r\n'),
      (_, request) => request.socket.resetAndDestroy(),
      () => {},
      (response) => response.writeHead(401).end('x'.repeat(1_000_000)),
    ]
    let healthy = false
    const hook = await receiver((request, response, nth) => {
      const way = ways[nth]
      if (healthy || !way) response.writeHead(200).end()
      else way(response, request)
    })
    await start(hook.env)
    await run(wikiId, { silhouette: 0.1 })
    await until(async () => (await listAlerts(db, { wikiId, limit: 9 })).length === 1)
    const [alert] = await listAlerts(db, { wikiId, limit: 9 })
    const id = alert?.id as number
    await run(wikiId, {})
    await run(wikiId, {})
    const dueNow = () =>
      db.pool.query(
        "update alert_deliveries set next_attempt_at = now() where alert_id = $1 and status = 'due' and attempts < 11",
        [id],
      )
    await until(async () => {
      const [first] = await readDeliveries(db, [id]).then((rows) => rows.filter((row) => row.receiver === 'hook'))
      if ((first?.log.length ?? 0) >= first?.attempts) await dueNow()
      return hook.taken.length >= 2
    }, 60_000)
    healthy = true
    expect(hook.taken.map(({ type }) => type)).toEqual(['alert.raised', 'alert.resolved'])
    await until(async () => (await readDeliveries(db, [id])).every((row) => row.status === 'delivered'))
    const [raised] = (await readDeliveries(db, [id])).filter((row) => row.receiver === 'hook')
    expect(raised?.log.map((entry) => entry.result)).toEqual([
      'HTTP 500',
      'HTTP 503',
      'HTTP 429',
      'HTTP 404',
      'HTTP 302',
      'could not be reached: ECONNRESET',
      'could not be reached: HPE_INVALID_CONSTANT',
      'could not be reached: ECONNRESET',
      'no answer within 500 ms',
      'HTTP 401',
      'HTTP 200',
    ])
    hook.close()
  }, 90_000)
})
