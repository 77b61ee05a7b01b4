import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isAlive } from './process-identity.ts'
import { answersQuery, checkNats, withClient } from './reach.ts'
import { startServers } from './start-servers.ts'

// TEST_SERVERS=containers changes nothing here: these are the embedded servers themselves.
describe('startServers', () => {
  let home: string
  const env = { PATH: process.env.PATH, HOME: process.env.HOME }
  const pidIn = (file: string): number => Number.parseInt(readFileSync(join(home, file), 'utf8'), 10)

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'start-servers-'))
    chmodSync(home, 0o755)
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  it('gives the same addresses and data again, and leaves no process behind', async () => {
    const first = await startServers({ home, env, durable: false })
    await withClient(first.databaseUrl, (client) => client.query('create table kept ()'))
    const pids = [pidIn('postgres/data/postmaster.pid'), pidIn('nats/nats-server.pid')]
    await first.stop()
    expect(pids.map(isAlive)).toEqual([false, false])

    const second = await startServers({ home, env, durable: false })
    expect([second.databaseUrl, second.natsUrl]).toEqual([first.databaseUrl, first.natsUrl])
    const { rows } = await withClient(second.databaseUrl, (c) => c.query("select to_regclass('kept') as found"))
    expect(rows).toEqual([{ found: 'kept' }])
    await second.stop()
  })

  it('starts servers that were killed again, at their addresses and with their data, and says so', async () => {
    const said: string[] = []
    let pids: number[] = []
    const started = await startServers({ home, env, durable: false, say: (line) => said.push(line) })
    try {
      await withClient(started.databaseUrl, (client) =>
        client.query('set synchronous_commit = on; create table kept ()'),
      )
      const [postgres, nats] = [pidIn('postgres/data/postmaster.pid'), pidIn('nats/nats-server.pid')]
      for (const pid of [postgres, nats]) process.kill(pid, 'SIGKILL')
      const again = { timeout: 30_000 }
      await expect
        .poll(() => checkNats(started.natsUrl).then(() => pidIn('nats/nats-server.pid') !== nats, String), again)
        .toBe(true)
      await expect.poll(() => answersQuery(started.databaseUrl), again).toBe(true)
      const { rows } = await withClient(started.databaseUrl, (c) => c.query("select to_regclass('kept') as found"))
      expect(rows).toEqual([{ found: 'kept' }])
      expect(said.toSorted()).toEqual(['PostgreSQL ended; starting it again', 'nats-server ended; starting it again'])
      pids = [pidIn('postgres/data/postmaster.pid'), pidIn('nats/nats-server.pid')]
    } finally {
      await started.stop()
    }
    expect(pids.map(isAlive)).toEqual([false, false])
  })

  it('ends the servers of a start that was killed, and starts over from its data', async () => {
    const script = `
      import { startServers } from ${JSON.stringify(join(import.meta.dirname, 'start-servers.ts'))}
      await startServers({ home: ${JSON.stringify(home)}, env: process.env, durable: false })
      console.log('started')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: env.PATH, HOME: env.HOME },
    })
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
    const orphans = [pidIn('postgres/data/postmaster.pid'), pidIn('nats/nats-server.pid')]
    await expect(startServers({ home, env, durable: false })).rejects.toMatchObject({ code: 'home_in_use' })
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    expect(orphans.map(isAlive)).toEqual([true, true])

    const next = await startServers({ home, env, durable: false })
    expect(orphans.map(isAlive)).toEqual([false, false])
    expect(await answersQuery(next.databaseUrl)).toBe(true)
    await next.stop()
  })

  it('takes no notice of a stale postmaster.pid whose number another process has', async () => {
    await (await startServers({ home, env, durable: false })).stop()
    writeFileSync(join(home, 'postgres/data/postmaster.pid'), `${process.pid}\n${home}\n`)
    const again = await startServers({ home, env, durable: false })
    await again.stop()
  })

  it('says which version wrote the data when it cannot read it, and frees the home', async () => {
    await (await startServers({ home, env, durable: false })).stop()
    writeFileSync(join(home, 'postgres/data/PG_VERSION'), '17\n')
    await expect(startServers({ home, env, durable: false })).rejects.toThrow(/data of PostgreSQL 17, expected 18/)
    expect(existsSync(join(home, 'owner'))).toBe(false)
  })

  it('starts nothing of its own where the environment names servers, and leaves those running', async () => {
    const outside = await startServers({ home, env, durable: false })
    const other = mkdtempSync(join(tmpdir(), 'start-servers-'))
    const given = { ...env, DATABASE_URL: outside.databaseUrl, NATS_URL: outside.natsUrl }
    const started = await startServers({ home: other, env: given })
    expect(started).toMatchObject({ databaseUrl: outside.databaseUrl, natsUrl: outside.natsUrl })
    await started.stop()
    expect(existsSync(join(other, 'postgres'))).toBe(false)
    expect(await answersQuery(outside.databaseUrl)).toBe(true)
    await outside.stop()
    rmSync(other, { recursive: true })
  })
})
