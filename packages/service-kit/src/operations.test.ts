import { Counter, Gauge, Registry } from '@prometheus-io/client'
import Fastify from 'fastify'
import { afterEach, expect, it } from 'vitest'
import { operations, type ReadinessChecks } from './operations.ts'

const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()))
})

async function appWith(checks: ReadinessChecks, registry = new Registry()) {
  const app = Fastify()
  opened.push(app)
  app.get('/api/thing/:id', async () => ({ ok: true }))
  await app.register(operations, { registry, checks })
  return app
}

it('lives and is ready when everything it needs answers', async () => {
  const app = await appWith({ database: async () => {}, nats: async () => {} })
  expect((await app.inject('/livez')).statusCode).toBe(200)
  const ready = await app.inject('/readyz')
  expect(ready.statusCode).toBe(200)
  expect(ready.json()).toEqual({ status: 'ok', checks: { database: 'ok', nats: 'ok' } })
})

it('lives but is not ready when something does not answer, and says what', async () => {
  const app = await appWith({
    database: async () => {
      throw new Error('PostgreSQL cannot be reached')
    },
  })
  expect((await app.inject('/livez')).statusCode).toBe(200)
  const ready = await app.inject('/readyz')
  expect(ready.statusCode).toBe(503)
  expect(ready.json().checks).toEqual({ database: 'PostgreSQL cannot be reached' })
})

it('serves its metrics, those of its process and those of its requests by route', async () => {
  const registry = new Registry()
  new Counter({ name: 'tagloom_things_total', help: 'Things', registers: [registry] }).inc(3)
  const app = await appWith({}, registry)
  await app.inject('/api/thing/1')
  await app.inject('/api/thing/2')
  const { body, headers } = await app.inject('/metrics')
  expect(headers['content-type']).toMatch(/^text\/plain/)
  expect(body).toContain('tagloom_things_total 3')
  expect(body).toContain('process_cpu_seconds_total')
  expect(body).toContain('http_request_duration_seconds_count{method="GET",route="/api/thing/:id",status_code="200"} 2')
})

it('writes a value that is no number as the text format does', async () => {
  const registry = new Registry()
  new Gauge({ name: 'tagloom_mean', help: 'Of nothing', registers: [registry] }).set(Number.NaN)
  const app = await appWith({}, registry)
  expect((await app.inject('/metrics')).body).toContain('\ntagloom_mean NaN\n')
})

it('works for several apps of one process', async () => {
  await appWith({})
  const app = await appWith({})
  expect((await app.inject('/metrics')).statusCode).toBe(200)
})
