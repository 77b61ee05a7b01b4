import { createJob, type Database, readLlmCalls, readLlmSpending, startNextJob } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, expect, type TestContext, test, vi } from 'vitest'
import { serverChat } from './chat-client.ts'
import type { ChatPrompt } from './chat-model.ts'
import { type LabelObserver, LanguageModel, type LanguageModelOptions, type Question } from './language-model.ts'
import { type MisbehavingServer, openMisbehavingServer } from './misbehaving-server.ts'
import { type Misbehaviour, misbehaviours } from './misbehaviours.ts'

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

const open = (more: Partial<LanguageModelOptions> = {}) =>
  new LanguageModel(db, {
    model: serverChat({ endpoint: server.endpoint, model: 'test', apiKey: 'secret', timeoutMs }),
    maxAttempts: 2,
    backoffMs: 5,
    maxRetryAfterMs: 1_000,
    parallelCalls,
    maxAnswerTokens: 400,
    price: { in: 1, out: 2 },
    ...more,
  })

/** Where nothing is said of time: a busy machine does not reach its timeout. */
const patient = (more: Partial<LanguageModelOptions> = {}) =>
  open({
    model: serverChat({ endpoint: server.endpoint, model: 'test', apiKey: '', timeoutMs: 10_000 }),
    ...more,
  })

async function runningJob(database: Database): Promise<string> {
  const wikiId = await createTestWiki(database)
  return database.transaction(async (tx) => {
    await createJob(tx, { wikiId, options: {} })
    return (await startNextJob(tx, wikiId))!.id
  })
}

/** Can be cut to its first eighth. */
const promptOf = (content: string): ChatPrompt => ({
  messages: [{ role: 'user', content }],
  shortened: (share) =>
    share < 1 / 8 ? undefined : [{ role: 'user', content: content.slice(0, Math.ceil(content.length * share)) }],
})

const question = (k: number, budget = {}): Question => ({
  jobId,
  batch: 0,
  prompt: promptOf(`group ${k}`),
  budget: { tokens: undefined, usd: undefined, ...budget },
})

function counter() {
  const counts = { calls: 0, timeouts: 0, failures: 0, unreadable: 0, budgetSpent: 0 }
  const observer: LabelObserver = {
    called: () => void counts.calls++,
    timedOut: () => void counts.timeouts++,
    failed: () => void counts.failures++,
    unreadable: () => void counts.unreadable++,
    budgetSpent: () => void counts.budgetSpent++,
  }
  return { counts, observer }
}

const never = new AbortController().signal

async function askAll(budget = {}) {
  const { counts, observer } = counter()
  const ask = (k: number) => models[k % models.length]!.labels(question(k, budget), observer, never)
  const before = await readLlmSpending(db, jobId)
  const answers = await Promise.all(Array.from({ length: questions }, (_, k) => ask(k)))
  const { tokens, costUsd } = await readLlmSpending(db, jobId)
  return { counts: { ...counts, tokens: tokens - before.tokens, cost: costUsd - before.costUsd }, answers }
}

/** Calls of the job as its record counts them. */
async function noted() {
  const calls = await readLlmCalls(db, jobId, 0)
  const of = (outcome: string) => calls.filter((call) => call.outcome === outcome).length
  return { calls: calls.length, timeouts: of('timed out'), failures: of('failed'), unreadable: of('unreadable') }
}

async function expectCountsOfServer(counts: ReturnType<typeof counter>['counts']): Promise<void> {
  const did = {
    calls: server.calls,
    timeouts: server.counts.timeout,
    failures: server.counts.failure,
    unreadable: server.counts.unreadable,
  }
  expect(counts).toMatchObject(did)
  expect(await noted()).toEqual(did)
  expect(server.mostAtOnce).toBeLessThanOrEqual(parallelCalls)
  expect(server.longestMs).toBeLessThan(timeoutMs + 500)
}

test.each(Object.keys(misbehaviours) as Misbehaviour[])(
  'is counted as the server did it, and ends: %s',
  async (way) => {
    server.ways = [way]
    const [outcome] = misbehaviours[way]
    if (outcome !== 'timeout') models = Array.from({ length: 3 }, () => patient())
    const { counts, answers } = await askAll()
    await expectCountsOfServer(counts)
    const answered = outcome === 'answer' || typeof outcome === 'function'
    expect(answers.every((labels) => (labels === undefined) !== answered)).toBe(true)
  },
)

test('is counted as the server did it when each call misbehaves in another way', async () => {
  server.ways = Object.keys(misbehaviours) as Misbehaviour[]
  models = Array.from({ length: 3 }, () => open({ maxAttempts: 3 }))
  await expectCountsOfServer((await askAll()).counts)
})

test('asks a server that takes other parameters without them, and no circuit opens when many are refused at once', async () => {
  server.ways = ['takes other parameters']
  const model = patient({ maxAttempts: 1, parallelCalls: 12 })
  const { observer, counts } = counter()
  const answers = await Promise.all(Array.from({ length: 12 }, (_, k) => model.labels(question(k), observer, never)))
  expect(answers.every((labels) => labels?.[0] === 'sailing')).toBe(true)
  expect(counts).toMatchObject({ calls: server.calls, failures: server.calls - 12 })
  const { calls } = server
  await model.labels(question(99), observer, never)
  expect(server.calls).toBe(calls + 1)
  const asked = JSON.parse(server.bodies.at(-1)!)
  expect(asked).toMatchObject({ max_completion_tokens: 400, response_format: { type: 'json_schema' }, stream: false })
})

test('asks a server for less where a prompt is longer than it takes, in that length from then on, and no circuit opens', async () => {
  server.ways = ['takes short prompts only']
  const model = patient({ maxAttempts: 1, parallelCalls: 12 })
  const { observer, counts } = counter()
  const long = (k: number) => ({ ...question(k), prompt: promptOf(`${k} ${'a'.repeat(8_000)}`) })
  const answers = await Promise.all(Array.from({ length: 12 }, (_, k) => model.labels(long(k), observer, never)))
  expect(answers.every((labels) => labels?.[0] === 'sailing')).toBe(true)
  expect(counts).toMatchObject({ calls: server.calls, failures: server.calls - 12 })
  const { calls } = server
  await model.labels(long(99), observer, never)
  expect(server.calls).toBe(calls + 1)
  expect(JSON.parse(server.bodies.at(-1)!).messages[0].content).toHaveLength(2001)
})

test('gives up a question that stays too long, and a server that takes none', async () => {
  server.ways = ['takes short prompts only']
  const model = patient({ maxAttempts: 3 })
  const { observer, counts } = counter()
  const endless = (k: number) => ({ ...question(k), prompt: promptOf(`${k} ${'a'.repeat(40_000)}`) })
  expect(await model.labels(endless(0), observer, never)).toBeUndefined()
  // Whole, and cut to a half, a quarter, an eighth
  expect(counts).toMatchObject({ calls: 4, failures: 4 })
  for (let k = 1; k < 12; k++) expect(await model.labels(endless(k), observer, never)).toBeUndefined()
  // Eight that were refused in the least length
  expect(counts.calls).toBe(3 + 8)
})

test('counts what an answer without labels cost, of which the server tells', async () => {
  server.ways = ['refuses, as models do']
  expect((await askAll()).counts).toMatchObject({ calls: questions, tokens: questions * 110, unreadable: questions })
  server.reset()
  server.ways = ['an answer without choices']
  expect((await askAll()).counts.tokens).toBe(server.calls * 110)
})

test('estimates the tokens of a server that cannot count', async () => {
  for (const way of ['counts more tokens than there are', 'no usage counted'] as const) {
    server.ways = [way]
    models = [patient()]
    await db.pool.query('truncate llm_replies')
    const { counts } = await askAll()
    expect(counts.tokens).toBeGreaterThan(questions * 5)
    expect(counts.tokens).toBeLessThan(questions * 50)
  }
})

test('says that an answer was cut off, and what helps', async () => {
  server.ways = ['thinks until its tokens are used up']
  const reasons: string[] = []
  const { observer } = counter()
  await models[0]!.labels(question(0), { ...observer, unreadable: (_, reason) => void reasons.push(reason) }, never)
  expect(reasons).toEqual([expect.stringMatching(/cut off at 400 tokens: raise LLM_MAX_ANSWER_TOKENS/)])
})

test('asks nothing at all while the server asks to wait', async () => {
  server.ways = ['error 429 for a second', 'good']
  const { observer, counts } = counter()
  const [first] = models
  const refused = first!.labels(question(0), observer, never)
  await expect.poll(() => counts.failures).toBe(1)
  const others = [1, 2].map((k) => first!.labels(question(k), observer, never))
  server.ways = ['good']
  await Promise.all([refused, ...others])
  expect(counts).toMatchObject({ calls: 4, failures: 1 })
  expect(Math.min(...server.cameAt.slice(1)) - server.cameAt[0]!).toBeGreaterThanOrEqual(990)
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

test('a call that waited for the one of a half open circuit takes no slot that has become that of another', async (t) => {
  const slow = await openMisbehavingServer(300)
  t.onTestFinished(() => slow.close())
  const model = (parallelCalls: number) =>
    open({ parallelCalls, model: serverChat({ endpoint: slow.endpoint, model: 'slow', apiKey: '', timeoutMs: 5_000 }) })
  vi.useFakeTimers({ toFake: ['Date'] })
  t.onTestFinished(() => void vi.useRealTimers())
  slow.ways = ['error 401']
  const { observer } = counter()
  const [broken, other] = [model(2), model(2)]
  await Promise.all(Array.from({ length: 8 }, (_, k) => broken.labels(question(k), observer, never)))
  vi.setSystemTime(Date.now() + pauseMs)
  slow.reset()
  slow.ways = ['good']
  const first = broken.labels(question(20), observer, never)
  await expect.poll(() => slow.calls).toBe(1)
  const waiting = broken.labels(question(21), observer, never)
  const held = () => db.pool.query('select slot from llm_slots where slot < 2 and expires_at > clock_timestamp()')
  await expect.poll(async () => (await held()).rows.length).toBe(2)
  await db.pool.query("update llm_slots set expires_at = 'epoch' where slot = 1")
  await Promise.all([first, waiting, ...[22, 23].map((k) => other.labels(question(k), observer, never))])
  expect(slow.calls).toBe(4)
  expect(slow.mostAtOnce).toBe(2)
})

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
  expect(second.counts).toMatchObject({ calls: 0, tokens: 0 })
  expect(server.calls).toBe(questions)
})

test('pays for another question and for another model, and no more for one that is kept', async () => {
  server.ways = ['good']
  const { observer, counts } = counter()
  const ask = (model: string, asked: Question) =>
    open({ model: serverChat({ endpoint: server.endpoint, model, apiKey: '', timeoutMs: 10_000 }) }).labels(
      asked,
      observer,
      never,
    )
  const calls: number[] = []
  const other = { ...question(0), prompt: promptOf('group 0 and one page more') }
  for (const [model, asked] of [
    ['first', question(0)],
    ['first', question(0)],
    ['first', other],
    ['second', question(0)],
    ['second', question(0)],
    ['first', question(0)],
  ] as const) {
    expect(await ask(model, asked)).toEqual(['sailing', 'boats'])
    calls.push(counts.calls)
  }
  expect(calls).toEqual([1, 1, 2, 3, 3, 3])
  const { rows } = await db.pool.query<{ kept: number }>('select count(*)::int as kept from llm_replies')
  expect(rows[0]!.kept).toBe(3)
})

test('latencies are noted as the server measured them', async () => {
  const took = [150, 20, 90, 260, 40, 200]
  server.ways = ['good']
  const { observer } = counter()
  const model = patient()
  for (const [k, ms] of took.entries()) {
    server.gate = new Promise((resolve) => setTimeout(resolve, ms))
    await model.labels(question(k), observer, never)
  }
  server.gate = Promise.resolve()
  await expect.poll(() => server.tookMs.length).toBe(took.length)
  const noted = (await readLlmCalls(db, jobId, 0)).map(({ latencyMs }) => latencyMs!)
  expect(noted).toHaveLength(took.length)
  for (const [k, latencyMs] of noted.entries()) {
    // The client's time holds the server's; what is beside it is a connection of this machine.
    expect(latencyMs).toBeGreaterThan(server.tookMs[k]! - 5)
    expect(latencyMs).toBeLessThan(server.tookMs[k]! + 250)
  }
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

test('makes no call on a budget of money when the model has no price', async () => {
  const model = open({ price: undefined })
  const reasons: string[] = []
  const { observer, counts } = counter()
  const told = { ...observer, budgetSpent: (...[, , reason]: [number, number, string]) => void reasons.push(reason) }
  expect(await model.labels(question(0, { usd: 1 }), told, never)).toBeUndefined()
  expect([counts.calls, server.calls, reasons]).toEqual([0, 0, ['no price']])
  server.ways = ['good']
  expect(await model.labels(question(0, { tokens: 1000 }), told, never)).toEqual(['sailing', 'boats'])
})

test('ends at once when the work is no longer wanted', async () => {
  server.ways = ['never answers']
  const cancelled = new AbortController()
  const { observer } = counter()
  const asking = models[0]!.labels(question(0), observer, cancelled.signal)
  setTimeout(() => cancelled.abort(new Error('cancelled')), 50)
  await expect(asking).rejects.toThrow('cancelled')
})
