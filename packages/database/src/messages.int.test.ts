import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { addOutbox, claimInbox, countOutbox, type Database, takeOutbox } from './index.ts'
import { outbox } from './schema/jobs.ts'
import { openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(() => db.orm.delete(outbox).then(() => {}))

const message = (n: number) => ({ subject: 'tagloom.v1.1.job.requested', messageId: `m${n}`, body: `{"n":${n}}` })
const owe = (...numbers: number[]) => db.transaction((tx) => addOutbox(tx, numbers.map(message)))

test('a message is claimed once by each consumer', async () => {
  const claim = (consumer: string) => db.transaction((tx) => claimInbox(tx, consumer, 'claimed'))
  expect([await claim('a'), await claim('a'), await claim('b')]).toEqual([true, false, true])
})

test('a claim that rolls back leaves the message to the next delivery', async () => {
  await expect(
    db.transaction(async (tx) => {
      await claimInbox(tx, 'a', 'rolled back')
      throw new Error('handler failed')
    }),
  ).rejects.toThrow('handler failed')
  expect(await db.transaction((tx) => claimInbox(tx, 'a', 'rolled back'))).toBe(true)
})

test('owed messages are published in order and forgotten', async () => {
  await owe(1, 2, 3)
  const seen: string[] = []
  expect(await takeOutbox(db, { limit: 10 }, async (row) => void seen.push(row.messageId))).toBe(3)
  expect(seen).toEqual(['m1', 'm2', 'm3'])
  expect(await countOutbox(db)).toBe(0)
})

test('what the bus refuses stays owed, with what comes after it', async () => {
  await owe(1, 2, 3)
  const publish = async (row: { messageId: string }) => {
    if (row.messageId === 'm2') throw new Error('no stream')
  }
  await expect(takeOutbox(db, { limit: 10 }, publish)).rejects.toThrow('no stream')
  expect(await countOutbox(db)).toBe(2)
})

test('two relays at once publish each message once', async () => {
  await owe(...Array.from({ length: 50 }, (_, i) => i))
  const seen: string[] = []
  const relay = () => takeOutbox(db, { limit: 25 }, async (row) => void seen.push(row.messageId))
  await Promise.all([relay(), relay()])
  await relay()
  expect(new Set(seen).size).toBe(50)
  expect(seen).toHaveLength(50)
})

test('a transaction that rolls back owes nothing', async () => {
  const failing = db.transaction(async (tx) => {
    await addOutbox(tx, [message(1)])
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await countOutbox(db)).toBe(0)
})
