import { createJob, type Database, startNextJob } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, expect, type TestContext, test, vi } from 'vitest'
import { serverChat } from './chat-client.ts'
import { type LabelObserver, LanguageModel, type Question } from './language-model.ts'
import {
  type MisbehavingServer,
  type Misbehaviour,
  misbehaviours,
  openMisbehavingServer,
} from './misbehaving-server.ts'

const timeoutMs = 400
const holdMs = 15
const parallelCalls = 3
const questions = 6
let server: MisbehavingServer
let db: Awaited<ReturnType<typeof openTestDatabase>>
let jobId: string
let models: LanguageModel[]

beforeAll(async () => {
  server = await openMisbehavingServer(holdMs)
  db = await openTestDatabase()
})
afterAll(async () => {
  await server.close()
  await db.close()
})
beforeEach(async () => {
  server.reset()
  await db.pool.query('truncate llm_replies')
  jobId = await runningJob(db)
  // Three processes, each with its own circuit and its own idea of the server; slots are shared through the database.
  models = Array.from({ length: 3 }, () => open())
})

const open = (more: { maxAttempts?: number; maxRetryAfterMs?: number } = {}) =>
  new LanguageModel(db, {
    model: serverChat({ endpoint: server.endpoint, model: 'test', apiKey: 'secret', timeoutMs }),
    maxAttempts: 2,
    backoffMs: 5,
    maxRetryAfterMs: 1_000,
    parallelCalls,
    price: { in: 1, out: 2 },
    ...more,
  })

async function runningJob(database: Database): Promise<string> {
  const wikiId = await createTestWiki(database)
  return database.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!.id
  })
}

const question = (k: number, budget = {}): Question => ({
  jobId,
  messages: [{ role: 'user', content: `group ${k}` }],
  budget: { tokens: undefined, usd: undefined, ...budget },
})

function counter() {
  const counts = { calls: 0, timeouts: 0, failures: 0, unreadable: 0, tokens: 0, cost: 0, budgetSpent: 0, cached: 0 }
  const observer: LabelObserver = {
    called: () => void counts.calls++,
    timedOut: () => void counts.timeouts++,
    failed: () => void counts.failures++,
    unreadable: () => void counts.unreadable++,
    spent(tokensIn, tokensOut, cost) {
      counts.tokens += tokensIn + tokensOut
      counts.cost += cost
    },
    budgetSpent: () => void counts.budgetSpent++,
    cached: () => void counts.cached++,
  }
  return { counts, observer }
}

const never = new AbortController().signal

async function askAll(budget = {}) {
  const { counts, observer } = counter()
  const ask = (k: number) => models[k % models.length]!.labels(question(k, budget), observer, never)
  const answers = await Promise.all(Array.from({ length: questions }, (_, k) => ask(k)))
  return { counts, answers }
}

function expectCountsOfServer(counts: ReturnType<typeof counter>['counts']): void {
  expect(counts).toMatchObject({
    calls: server.calls,
    timeouts: server.counts.timeout,
    failures: server.counts.failure,
    unreadable: server.counts.unreadable,
  })
  expect(server.mostAtOnce).toBeLessThanOrEqual(parallelCalls)
  expect(server.longestMs).toBeLessThan(timeoutMs + 500)
}

test.each(Object.keys(misbehaviours) as Misbehaviour[])(
  'is counted as the server did it, and ends: %s',
  async (way) => {
    server.ways = [way]
    const { counts, answers } = await askAll()
    expectCountsOfServer(counts)
    const [outcome] = misbehaviours[way]
    const answered = outcome === 'answer' || way === 'refuses structured output'
    expect(answers.every((labels) => (labels === undefined) !== answered)).toBe(true)
  },
)

test('is counted as the server did it when each call misbehaves in another way', async () => {
  server.ways = Object.keys(misbehaviours) as Misbehaviour[]
  models = Array.from({ length: 3 }, () => open({ maxAttempts: 3 }))
  expectCountsOfServer((await askAll()).counts)
})

test('calls again no sooner than Retry-After asks', async () => {
  server.ways = ['error 429 for a second', 'good']
  const { observer, counts } = counter()
  expect(await models[0]!.labels(question(0), observer, never)).toEqual(['sailing', 'boats'])
  expect(counts).toMatchObject({ calls: 2, failures: 1 })
  expect(server.cameAt[1]! - server.cameAt[0]!).toBeGreaterThanOrEqual(990)
})

test('does not wait for a server that asks for too long', async () => {
  server.ways = ['error 429 for an hour']
  const began = performance.now()
  const { observer, counts } = counter()
  await open({ maxAttempts: 5 }).labels(question(0), observer, never)
  expect(counts.calls).toBe(1)
  expect(performance.now() - began).toBeLessThan(timeoutMs * 5)
})

/** The circuit of a new model, opened by eight calls that failed. The clock of the process is moved by hand; timers are real. */
async function openCircuit(t: TestContext) {
  vi.useFakeTimers({ toFake: ['Date'] })
  t.onTestFinished(() => void vi.useRealTimers())
  server.ways = ['error 500']
  const model = open({ maxAttempts: 2 })
  const { observer, counts } = counter()
  let asked = 0
  const ask = (signal = never) => model.labels(question(asked++), observer, signal)
  for (let k = 0; k < 12; k++) expect(await ask()).toBeUndefined()
  expect([counts.calls, server.calls]).toEqual([8, 8])
  return { ask, pause: (ms: number) => vi.setSystemTime(Date.now() + ms) }
}
const pauseMs = 30_000

test('makes no more calls for a while after many in a row failed', async (t) => {
  const { ask, pause } = await openCircuit(t)
  pause(pauseMs - 1_000)
  await ask()
  expect(server.calls).toBe(8)
})

test('lets one call through after the pause, however many ask, and the others once it was answered', async (t) => {
  const { ask, pause } = await openCircuit(t)
  pause(pauseMs)
  server.ways = ['good']
  const answers = await Promise.all(Array.from({ length: questions }, () => ask()))
  expect(answers.every(Boolean)).toBe(true)
  expect(server.calls).toBe(8 + questions)
  // The server holds each answer for as long; a timer may ring a millisecond early.
  expect(server.cameAt[9]! - server.cameAt[8]!).toBeGreaterThanOrEqual(holdMs - 1)
})

test('pauses again when the one call after the pause fails, and tries one more after the next', async (t) => {
  const { ask, pause } = await openCircuit(t)
  pause(pauseMs)
  await Promise.all(Array.from({ length: questions }, () => ask()))
  expect(server.calls).toBe(9)
  pause(pauseMs - 1_000)
  await ask()
  expect(server.calls).toBe(9)
  pause(1_000)
  server.ways = ['good']
  expect(await ask()).toEqual(['sailing', 'boats'])
  expect(await ask()).toEqual(['sailing', 'boats'])
  expect(server.calls).toBe(11)
})

test('a call after the pause that was cancelled says nothing for the server: the pause begins again', async (t) => {
  const { ask, pause } = await openCircuit(t)
  pause(pauseMs)
  server.ways = ['never answers']
  const cancelled = new AbortController()
  const asking = ask(cancelled.signal)
  await expect.poll(() => server.calls).toBe(9)
  cancelled.abort(new Error('cancelled'))
  await expect(asking).rejects.toThrow('cancelled')
  await ask()
  expect(server.calls).toBe(9)
})

test('pays nothing for a question that was answered before, by whichever process', async () => {
  server.ways = ['good']
  const first = await askAll()
  models.reverse()
  const second = await askAll()
  expect(second.answers).toEqual(first.answers)
  expect(second.counts).toMatchObject({ calls: 0, cached: questions, tokens: 0 })
})

test('counts tokens and cost by the price table', async () => {
  server.ways = ['good']
  const { counts } = await askAll()
  expect(counts.tokens).toBe(questions * 110)
  expect(counts.cost).toBeCloseTo((questions * (100 + 20)) / 1_000_000, 12)
})

test.each([
  ['tokens', { tokens: 220 }],
  ['money', { usd: 0.0002 }],
])('makes no more calls when the budget of %s is spent; calls in progress end', async (_, budget) => {
  server.ways = ['good']
  const { counts, answers } = await askAll(budget)
  expect(counts.calls).toBeLessThan(questions)
  expect(counts.budgetSpent).toBe(questions - counts.calls)
  expect(answers.filter((labels) => labels === undefined)).toHaveLength(questions - counts.calls)
})

test('ends at once when the work is no longer wanted', async () => {
  server.ways = ['never answers']
  const cancelled = new AbortController()
  const { observer } = counter()
  const asking = models[0]!.labels(question(0), observer, cancelled.signal)
  setTimeout(() => cancelled.abort(new Error('cancelled')), 50)
  await expect(asking).rejects.toThrow('cancelled')
})
