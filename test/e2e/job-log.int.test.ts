import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type LogEventName, logEvents, logLineSchema, type RunRecord } from '@tagloom/contracts'
import { type Database, openDatabase, readRecord } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type TopicWiki, topicWiki } from './topic-wiki.ts'

/*
 * What the five services log of a job that crosses a threshold, with a language model that misbehaves and a receiver that is told: every line
 * against its declaration, the ids from the request to the receiver, and nothing in it that is nobody's business.
 */

const root = join(import.meta.dirname, '..', '..')
/** None of these may be in any line. */
const canaries = {
  text: 'zanzibarcanary',
  title: 'titlecanary',
  apiKey: 'a-key-for-tests-alone',
  llmKey: 'sk-llmkeycanary0123456789',
  webhookSecret: Buffer.from('webhook-secret-canary-0123456789').toString('base64'),
}
const traceId = '0af7651916cd43dd8448eb211c80319c'
const requestId = 'request-of-the-log-test'

let system: TestSystem
let db: Database
let wiki: TopicWiki
let home: string
let jobId: string
let record: RunRecord
const servers: Server[] = []
const llm = { calls: 0, failed: 0, unreadable: 0, keySeen: false }
const hook: { type: string; data: { rule: string; job_id: string; runbook: string } }[] = []

async function serve(answer: (body: string, request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(async (request, response) => {
    answer(Buffer.concat(await request.toArray()).toString(), request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Every third call fails, every third is unreadable; both answers repeat the prompt, which holds text of pages. */
const languageModel = () =>
  serve((body, request, response) => {
    llm.calls++
    llm.keySeen ||= request.headers.authorization === `Bearer ${canaries.llmKey}`
    const say = (content: string) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ choices: [{ message: { role: 'assistant', content } }], usage: {} }))
    if (llm.calls % 3 === 1) return void say('{"tags": ["good tag", "another one"]}')
    if (llm.calls % 3 === 2) {
      llm.failed++
      return void response.writeHead(500).end(JSON.stringify({ error: { message: body, code: body.slice(0, 300) } }))
    }
    llm.unreadable++
    say(body)
  })

beforeAll(async () => {
  wiki = topicWiki(20)
  home = mkdtempSync(join(tmpdir(), 'tagloom-home-'))
  mkdirSync(join(home, 'logs'))
  const title = `Two\nlines\r\nand\u2028more\u2029of \u001b[31m${canaries.title}\u001b[0m\u009b2J`
  const text = `Bread with sourdough and ${canaries.text} in its crust. `.repeat(20)
  for (let i = 0; i < 5; i++)
    appendFileSync(wiki.path, `${JSON.stringify({ id: `canary/${i}`, title, text: text + i })}\n`)
  const receivers = [
    {
      name: 'hook',
      type: 'webhook',
      url: await serve((body, _, response) => {
        hook.push(JSON.parse(body))
        response.writeHead(204).end()
      }),
      secret: `whsec_${canaries.webhookSecret}`,
    },
    { name: 'away', type: 'webhook', url: 'http://127.0.0.1:1/', secret: `whsec_${canaries.webhookSecret}` },
  ]
  system = await startTestSystem({
    env: {
      LOG_LEVEL: 'DEBUG',
      LOG_FILE: join(home, 'logs', 'tagloom.log'),
      LLM_ENDPOINT: await languageModel(),
      LLM_MODEL: 'test',
      LLM_API_KEY: canaries.llmKey,
      LLM_BACKOFF_MS: '5',
      MAX_PARALLEL_LLM_CALLS: '1',
      ALERT_ALLOW_PRIVATE_ADDRESSES: 'true',
      ALERT_RECEIVERS: JSON.stringify(receivers),
    },
  })
  db = openDatabase({ url: system.databaseUrl, max: 2 })
  const { wikiId } = await system.tag(wiki.path, 'logged')
  // No tag is that sure: pages get none, fewer than the two that the default rule asks for.
  const asked = await call('POST', `/api/wikis/${wikiId}/jobs`, { confidence_threshold: 1, labeller: 'llm' })
  jobId = asked.id
  record = await vi.waitUntil(() => readRecord(db, jobId), { timeout: 60_000, interval: 50 })
  await vi.waitUntil(() => hook.length > 0 && linesOf().some((line) => line.event === 'alert_delivered'), {
    timeout: 20_000,
    interval: 50,
  })
  await vi.waitUntil(() => linesOf().some((line) => line.event === 'alert_delivery_failed'), { timeout: 20_000 })
}, 300_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  for (const server of servers) server.close()
  wiki?.remove()
  rmSync(home, { recursive: true, force: true })
})

async function call(method: string, path: string, body: object) {
  const response = await fetch(`${system.client.base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${system.client.key}`,
      'content-type': 'application/json',
      'x-request-id': requestId,
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  expect(response.status).toBe(202)
  return (await response.json()) as { id: string }
}

type Line = Record<string, unknown>
const text = (): string =>
  readdirSync(join(home, 'logs'))
    .map((name) => readFileSync(join(home, 'logs', name), 'utf8'))
    .join('')
/** Whole lines: the last of a file may still be on its way. */
const lines = (): Line[] =>
  text()
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line)
const linesOf = (): Line[] => lines().filter((line) => line.job_id === jobId)

describe('the log of a job', () => {
  test('has named events only as they are declared, in their level', () => {
    const named = lines().filter((line) => line.event !== undefined)
    for (const line of named) {
      expect(Object.keys(logEvents), JSON.stringify(line)).toContain(line.event)
      const schema = logLineSchema(line.event as LogEventName)
      const errors = [...Value.Errors(schema, line)].map((error) => `${error.instancePath} ${error.message}`)
      expect(errors, JSON.stringify(line)).toEqual([])
      expect(line.level).toBe(logEvents[line.event as LogEventName].level)
    }
    expect([...new Set(linesOf().map((line) => line.event))]).toEqual(
      expect.arrayContaining([
        'job_requested',
        'job_started',
        'stage_started',
        'batch_completed',
        'clustering_started',
        'clustering_completed',
        'labeller_called',
        'llm_failure',
        'parsing_error',
        'tags_generated',
        'tags_propagated',
        'stage_completed',
        'job_completed',
        'record_stored',
        'quality_alert',
        'alert_delivered',
        'alert_delivery_failed',
      ]),
    )
  })

  test('carries the request id and the trace id of the request through all services to the receiver of its alert', () => {
    const of = linesOf().filter((line) => line.event !== undefined)
    expect(new Set(of.map((line) => line.service))).toEqual(
      new Set(['gateway', 'tagger', 'clusterer', 'propagator', 'metrics-aggregator']),
    )
    for (const line of of)
      expect(line, JSON.stringify(line)).toMatchObject({ request_id: requestId, trace_id: traceId })
    expect(hook.find((event) => event.data.job_id === jobId)).toMatchObject({
      type: 'alert.raised',
      data: { rule: 'tags-per-page-low', runbook: expect.stringContaining('#tags-per-page-low') },
    })
  })

  test('has a record that names the language model, and the version that each service logged', () => {
    const { provenance } = record
    expect(provenance.labeller_model).toBe('test')
    expect(Object.keys(provenance.versions).sort()).toEqual(['clusterer', 'propagator', 'tagger'])
    for (const [service, versions] of Object.entries(provenance.versions)) {
      const started = lines().filter((line) => line.event === 'service_starting' && line.service === service)
      expect(versions).toEqual([...new Set(started.map((line) => line.version))])
    }
  })

  test('counts what the language model did as the record does', () => {
    const { errors, cost } = record
    const count = (event: string) => linesOf().filter((line) => line.event === event).length
    expect(llm).toMatchObject({ keySeen: true })
    expect({ calls: cost.llm_calls, failed: errors.llm_failures, unreadable: errors.parsing_errors }).toEqual({
      calls: llm.calls,
      failed: llm.failed,
      unreadable: llm.unreadable,
    })
    expect(count('labeller_called')).toBe(llm.calls)
    expect(count('llm_failure')).toBe(llm.failed)
    expect(count('parsing_error')).toBe(llm.unreadable)
  })

  test('holds no text or title of a page, no key, no secret and no password', () => {
    const password = decodeURIComponent(new URL(system.databaseUrl).password)
    for (const [name, canary] of Object.entries({ ...canaries, ...(password.length > 7 && { password }) }))
      expect(text().includes(canary), name).toBe(false)
  })

  test('is one line a line, of characters that neither end it nor command a terminal', () => {
    for (const line of text().split('\n')) expect(line).toMatch(/^[^\p{Cc}\u2028\u2029]*$/u)
  })

  test('is CRITICAL nowhere, as nothing aborted', () => {
    expect(lines().filter((line) => line.level === 'CRITICAL')).toEqual([])
  })

  test('is joined from all services, in order, by npm run logs', async () => {
    const main = join(root, 'packages', 'launcher', 'src', 'main.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [main, 'logs', '--job', jobId], {
      env: { PATH: process.env.PATH, TAGLOOM_HOME: home },
      maxBuffer: 1 << 26,
    })
    const joined = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
    const times = joined.map((line) => Date.parse(line.time as string))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(joined.map((line) => line.job_id)).toEqual(joined.map(() => jobId))
    expect(joined.length).toBeGreaterThanOrEqual(linesOf().length - 5)
    expect(new Set(joined.map((line) => line.service)).size).toBe(5)
  })
})
