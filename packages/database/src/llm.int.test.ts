import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  beginLlmCall,
  createJob,
  type Database,
  endLlmCall,
  pruneLlmReplies,
  readLlmCalls,
  readLlmReply,
  readLlmSpending,
} from './index.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
let jobId: string
beforeAll(async () => {
  db = await openTestDatabase()
  const wikiId = await createTestWiki(db)
  jobId = (await db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!.id
})
afterAll(() => db.close())

const read = { outcome: 'read', latencyMs: 12.5, tokensIn: 100, tokensOut: 10, costUsd: 0.25 } as const

test('forgets replies that nobody asked for in time, however many, and keeps those that somebody did', async () => {
  await db.pool.query(
    `insert into llm_replies (request_hash, reply, used_at)
     select 'old ' || n, '["a"]', now() - interval '100 days' from generate_series(1, 2500) n`,
  )
  await endLlmCall(db, await beginLlmCall(db, { jobId, batch: 0 }), {
    ...read,
    reply: { requestHash: 'new', labels: ['b'] },
  })
  expect(await readLlmReply(db, 'old 7')).toEqual(['a'])
  expect(await pruneLlmReplies(db, 90)).toBe(2499)
  expect(await pruneLlmReplies(db, 90)).toBe(0)
  expect([await readLlmReply(db, 'old 7'), await readLlmReply(db, 'new')]).toEqual([['a'], ['b']])
  expect(await readLlmReply(db, 'old 8')).toBeUndefined()
})

test('calls of a batch are counted from their beginning, with what each cost, and a reply is kept with its call', async () => {
  const of = { jobId, batch: 7 }
  const [first, second] = [await beginLlmCall(db, of), await beginLlmCall(db, of)]
  await beginLlmCall(db, { jobId, batch: 8 })
  const before = await readLlmSpending(db, jobId)
  const failed = { ...read, outcome: 'failed', tokensOut: 0 } as const
  await endLlmCall(db, second, failed)
  expect(await readLlmReply(db, 'asked')).toBeUndefined()
  const broken = { outcome: null, latencyMs: null, tokensIn: 0, tokensOut: 0, costUsd: 0 }
  expect(await readLlmCalls(db, jobId, 7)).toEqual([broken, failed])
  await endLlmCall(db, first, { ...read, reply: { requestHash: 'asked', labels: ['a', 'b'] } })
  expect(await readLlmReply(db, 'asked')).toEqual(['a', 'b'])
  expect(await readLlmCalls(db, jobId, 7)).toEqual([read, failed])
  expect(await readLlmSpending(db, jobId)).toEqual({ tokens: before.tokens + 210, costUsd: before.costUsd + 0.5 })
})
