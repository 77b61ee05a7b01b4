import { readLlmReply } from '@tagloom/database'
import { openTestDatabase } from '@tagloom/database/testing'
import { captureLog } from '@tagloom/service-kit/testing'
import { expect, test, vi } from 'vitest'
import { forgetReplies } from './forget-replies.ts'

test('replies that are too old go without anybody asking, and the log says how many', async () => {
  const db = await openTestDatabase()
  const log = captureLog()
  await db.pool.query(
    `insert into llm_replies (request_hash, reply, used_at)
     values ('young', '["a"]', now()), ('old', '["b"]', now() - interval '31 days')`,
  )
  const stop = forgetReplies({ db, log, days: 30, everyMs: 20 })
  await vi.waitFor(() => expect(log.of('llm_replies_forgotten')).toMatchObject([{ replies: 1, days: 30 }]))
  await stop()
  expect([await readLlmReply(db, 'young'), await readLlmReply(db, 'old')]).toEqual([['a'], undefined])
  await db.close()
})
