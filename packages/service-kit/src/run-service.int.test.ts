import { type ChildProcess, fork } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Bus } from '@tagloom/bus'
import { openTestBus, whenDrained } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import { openTestDatabase } from '@tagloom/database/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('./fixtures/service-main.ts', import.meta.url))
let db: Awaited<ReturnType<typeof openTestDatabase>>
let bus: Bus & { readonly url: string; readonly prefix: string }
const children: ChildProcess[] = []

beforeAll(async () => {
  ;[db, bus] = await Promise.all([openTestDatabase(), openTestBus()])
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(async () => {
  await Promise.all([db.close(), bus.close()])
})

type Line = Record<string, unknown> & { readonly event?: string }

function start(env: Record<string, string>) {
  const child = fork(main, [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
    env: { PATH: process.env.PATH, ...env },
  })
  children.push(child)
  const lines: Line[] = []
  const told: unknown[] = []
  child.on('message', (word) => told.push(word))
  let output = ''
  let rest = ''
  const waiting = new Set<() => void>()
  child.stdout?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() as string
    lines.push(...parts.map((part) => JSON.parse(part) as Line))
    for (const look of waiting) look()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    output += chunk
  })
  const ended = new Promise<{ code: number | null; lines: Line[]; output: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, lines, output })),
  )
  const until = (found: (line: Line) => boolean) =>
    new Promise<Line>((resolve, reject) => {
      const look = () => {
        const line = lines.find(found)
        if (line) resolve(line)
      }
      waiting.add(look)
      look()
      void ended.then(() => reject(new Error(`it ended before: ${output} ${JSON.stringify(lines)}`)))
    })
  return { child, told, until, ended }
}

const servers = () => ({ DATABASE_URL: db.url, NATS_URL: bus.url, NATS_PREFIX: bus.prefix })
const batch = (no: number) =>
  toMessage(events.embedBatch, { wiki_id: 1, job_id: 'cluster_wiki_1_kit', batch: no }, { source: 'test' })

describe('a service', { timeout: 90_000 }, () => {
  it('starts, is ready, takes work, and on SIGTERM hands back what it cannot finish and ends with 0', async () => {
    const service = start({ ...servers(), GREETING: 'good day' })
    const ready = await service.until((line) => line.event === 'service_ready')
    const at = `http://${ready.address}`
    expect(await (await fetch(`${at}/hello`)).text()).toBe('good day')
    expect((await fetch(`${at}/readyz`)).status).toBe(200)
    expect(service.told).toEqual(['listening'])

    await bus.publish(batch(1))
    await whenDrained(bus)
    await bus.publish(batch(2))
    await service.until((line) => line.event === 'batch_failed' && line.batch === '2')
    const metrics = await (await fetch(`${at}/metrics`)).text()
    expect(metrics).toMatch(
      /tagloom_messages_handled_total\{consumer="[^"]*embed-batch",outcome="acked",service="tagger"\} 1/,
    )
    expect(metrics).toMatch(/tagloom_messages_in_hand\{[^}]*\} 1/)
    expect(metrics).toMatch(/tagloom_outbox_messages\{[^}]*\} 0/)

    service.child.kill('SIGTERM')
    const { code, lines } = await service.ended
    expect(code).toBe(0)
    expect(lines.map((line) => line.event)).toEqual(
      expect.arrayContaining(['service_starting', 'service_stopping', 'service_stopped']),
    )
    const stopped = lines.find((line) => line.event === 'service_stopped')
    expect(stopped?.stopped_in_ms).toBeLessThan(8_000)

    const second = start(servers())
    await second.until((line) => line.event === 'batch_failed' && line.batch === '2')
  })

  it('names every bad variable and ends with 78', async () => {
    const { code, output } = await start({ NATS_URL: 'nats://127.0.0.1:4222', PORT: 'eighty', LOG_LEVEL: 'LOUD' }).ended
    expect(code).toBe(78)
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(output).toContain(`${name}: `)
  })

  it('says that its port is in use and ends with 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const { port } = taken.address() as AddressInfo
    const service = start({ ...servers(), PORT: String(port) })
    const { code, lines } = await service.ended
    taken.close()
    expect(code).toBe(1)
    expect(service.told).toEqual([])
    const failed = lines.find((line) => line.event === 'service_failed')
    expect(failed).toMatchObject({ level: 'CRITICAL', code: 'EADDRINUSE' })
    expect(failed?.reason).toContain(`port ${port} at 127.0.0.1 is in use`)
  })
})
