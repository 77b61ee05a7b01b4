import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { readNatsInfo } from './nats-info.ts'
import { withClient } from './reach.ts'
import {
  createTestDatabase,
  startPrivateNats,
  startPrivatePostgres,
  testPrefix,
  useRedis,
  useServers,
} from './testing.ts'

const port = (url: string): number => Number(new URL(url).port)

describe('the shared servers', () => {
  it('are one PostgreSQL 18 and one nats-server with JetStream for the whole run', async () => {
    const first = await useServers()
    expect(await useServers()).toEqual(first)
    const version = await withClient(
      first.databaseUrl,
      async (client) => (await client.query('show server_version')).rows,
    )
    expect(version[0].server_version).toMatch(/^18/)
    expect(await readNatsInfo('127.0.0.1', port(first.natsUrl), 2_000)).toMatchObject({ jetstream: true })
  })

  it('hold a database of its own for each caller', async () => {
    const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()])
    await withClient(one.url, (client) => client.query('create table only_here ()'))
    const seen = await withClient(other.url, (client) => client.query("select to_regclass('only_here') as found"))
    expect(seen.rows).toEqual([{ found: null }])
    await Promise.all([one.drop(), other.drop()])
    await expect(withClient(one.url, (client) => client.query('select 1'))).rejects.toThrow(/does not exist/)
  })

  it('build a template once and copy it for every caller', async () => {
    let built = 0
    const template = {
      name: `once${testPrefix()}`,
      async build(url: string) {
        built++
        await withClient(url, (client) => client.query('create table filled as select 7 as n'))
      },
    }
    const copies = await Promise.all([1, 2, 3].map(() => createTestDatabase(template)))
    expect(built).toBe(1)
    for (const { url, drop } of copies) {
      const { rows } = await withClient(url, (client) => client.query('select n from filled'))
      expect(rows).toEqual([{ n: 7 }])
      await drop()
    }
  })

  it('give every caller a prefix of its own', () => {
    expect(testPrefix()).not.toBe(testPrefix())
    expect(testPrefix()).toMatch(/^[a-z0-9_]+$/)
  })

  it('answer a Redis PING, or say why there is no Redis', async (context) => {
    const redis = await useRedis()
    if ('unavailable' in redis) return context.skip(`no Redis: ${redis.unavailable}`)
    const { answersPing } = await import('./redis.ts')
    expect(await answersPing(port(redis.url))).toBe(true)
  })
})

describe('a private nats-server', () => {
  it('is stopped, killed, wiped and started again at the same address', async () => {
    const nats = await startPrivateNats()
    const greets = (): Promise<boolean> =>
      readNatsInfo('127.0.0.1', port(nats.url), 2_000).then(
        () => true,
        () => false,
      )
    for (const hurt of [nats.stop, nats.kill, nats.wipe]) {
      expect(await greets()).toBe(true)
      await hurt()
      expect(await greets()).toBe(false)
      await nats.start()
    }
    await nats.restart()
    expect(await greets()).toBe(true)
    await nats.wipe()
  })
})

describe('a private PostgreSQL', () => {
  it('keeps its data through stop and kill, and loses it by wipe', async () => {
    const postgres = await startPrivatePostgres()
    const tables = async (): Promise<unknown[]> =>
      withClient(postgres.url, async (client) => (await client.query("select to_regclass('kept') as found")).rows)
    await withClient(postgres.url, (client) => client.query('create table kept ()'))
    await postgres.restart()
    expect(await tables()).toEqual([{ found: 'kept' }])
    await postgres.kill()
    const client = new pg.Client({ connectionString: postgres.url, connectionTimeoutMillis: 1_000 })
    await expect(client.connect()).rejects.toThrow()
    await postgres.start()
    expect(await tables()).toEqual([{ found: 'kept' }])
    await postgres.wipe()
    await postgres.start()
    expect(await tables()).toEqual([{ found: null }])
    await postgres.wipe()
  })
})
