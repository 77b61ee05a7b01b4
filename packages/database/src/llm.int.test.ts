import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, pruneLlmReplies, readLlmReply, saveLlmReply } from './index.ts'
import { openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('forgets replies that nobody asked for in time, however many, and keeps those that somebody did', async () => {
  await db.pool.query(
    `insert into llm_replies (request_hash, reply, used_at)
     select 'old ' || n, '["a"]', now() - interval '100 days' from generate_series(1, 2500) n`,
  )
  await saveLlmReply(db, 'new', ['b'])
  expect(await readLlmReply(db, 'old 7')).toEqual(['a'])
  expect(await pruneLlmReplies(db, 90)).toBe(2499)
  expect(await pruneLlmReplies(db, 90)).toBe(0)
  expect([await readLlmReply(db, 'old 7'), await readLlmReply(db, 'new')]).toEqual([['a'], ['b']])
  expect(await readLlmReply(db, 'old 8')).toBeUndefined()
})
