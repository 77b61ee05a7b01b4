import { startPrivatePostgres } from '@tagloom/local-servers/testing'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyRows, type Database, migrate, openDatabase } from './index.ts'
import { openTestDatabase } from './testing.ts'

let db: Database & { url: string }
beforeAll(async () => {
  db = await openTestDatabase()
  await db.pool.query('create table copied (id int, word text, bytes bytea, blob jsonb)')
})
afterAll(() => db.close())

test('COPY keeps every character, byte and null', async () => {
  const word = 'tab\t, line\nreturn\r backslash \\ \\N 日本語 🦆'
  const bytes = Buffer.from([0, 9, 10, 13, 92, 255])
  const count = await db.transaction((tx) =>
    copyRows(
      tx,
      'copied',
      ['id', 'word', 'bytes', 'blob'],
      [
        [1, word, bytes, { a: '\n"' }],
        [2, null, null, null],
      ],
    ),
  )
  expect(count).toBe(2)
  const { rows } = await db.pool.query('select * from copied order by id')
  expect(rows[0]).toEqual({ id: 1, word, bytes, blob: { a: '\n"' } })
  expect(rows[1]).toEqual({ id: 2, word: null, bytes: null, blob: null })
})

test('a COPY whose source fails writes nothing, throws that error, and the pool goes on', async () => {
  await db.pool.query('truncate copied')
  function* rows(): Generator<[number, string]> {
    for (let i = 0; i < 20_000; i++) yield [i, 'x'.repeat(50)]
    throw new Error('source failed')
  }
  await expect(db.transaction((tx) => copyRows(tx, 'copied', ['id', 'word'], rows()))).rejects.toThrow('source failed')
  const { rows: left } = await db.pool.query('select count(*)::int as n from copied')
  expect(left[0].n).toBe(0)
})

test('a COPY that the server refuses rejects with its reason', async () => {
  await expect(db.transaction((tx) => copyRows(tx, 'copied', ['id'], [['no number']]))).rejects.toThrow(
    /invalid input syntax/,
  )
  await expect(db.ping()).resolves.toBeUndefined()
})

test('migrating from many processes at once works once', async () => {
  await expect(Promise.all(Array.from({ length: 6 }, () => migrate(db.url)))).resolves.toHaveLength(6)
})

test('a restart of the server costs the work in hand and nothing more', async () => {
  const server = await startPrivatePostgres()
  const own = openDatabase({ url: server.url })
  try {
    await own.ping()
    const inHand = own.transaction((tx) => tx.orm.execute(sql`select pg_sleep(30)`))
    const outcome = expect(inHand).rejects.toThrow()
    await server.restart()
    await outcome
    await expect
      .poll(
        () =>
          own.ping().then(
            () => 'up',
            () => 'down',
          ),
        { timeout: 20_000 },
      )
      .toBe('up')
  } finally {
    await own.close()
    await server.stop()
  }
})

test('a server that is not there is said to be so', async () => {
  await expect(migrate('postgres://nobody@127.0.0.1:1/none')).rejects.toThrow(/cannot be reached.*check DATABASE_URL/)
})
