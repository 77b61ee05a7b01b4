import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { services } from '@tagloom/contracts'
import { freePort } from '@tagloom/local-servers'
import { createTestDatabase, useServers } from '@tagloom/local-servers/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { start } from './start.ts'

/** What can be wrong before a job begins, with real servers and services that stand in for ours. */
describe('npm start on a bad day', () => {
  let root: string
  let written: string
  let env: Record<string, string | undefined>
  let listener: Server | undefined

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tagloom-start-'))
    chmodSync(root, 0o755)
    written = ''
    env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      TAGLOOM_HOME: 'home',
      GATEWAY_PORT: String(await freePort()),
    }
    mkdirSync(join(root, 'wiki'))
    writeFileSync(join(root, 'wiki', 'page.md'), '# Page')
  })
  afterEach(async () => {
    await new Promise<void>((resolve) => (listener ? listener.close(() => resolve()) : resolve()))
    listener = undefined
    rmSync(root, { recursive: true, force: true })
  })

  function standIns(script: string): void {
    for (const service of services) {
      mkdirSync(join(root, 'services', service, 'src'), { recursive: true })
      writeFileSync(join(root, 'services', service, 'src', 'main.ts'), script)
    }
  }

  function begin(wiki: string | undefined = 'wiki', signal = new AbortController().signal): Promise<number> {
    const write = (text: string): void => {
      written += text
    }
    const out = { isTTY: false, columns: 80, write }
    return start({ once: true, help: false, wiki, name: undefined }, { root, cwd: root, env, out, signal })
  }

  async function listen(greeting: string): Promise<number> {
    listener = createServer((socket) => void socket.end(greeting))
    await new Promise<void>((resolve) => listener!.listen(0, '127.0.0.1', resolve))
    return (listener.address() as AddressInfo).port
  }

  /** Processes whose command line names this test's folder; where there is no /proc they are not looked for. */
  const left = (): string[] =>
    (existsSync('/proc') ? readdirSync('/proc') : [])
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        } catch {
          return ''
        }
      })
      .filter((line) => line.includes(root))

  it('names the port that is in use, and starts nothing', async () => {
    env.GATEWAY_PORT = String(await listen(''))
    await expect(begin()).rejects.toThrow(`Port ${env.GATEWAY_PORT} is in use by another program`)
    expect(existsSync(join(root, 'home'))).toBe(false)
  })

  it('names a port that is none', async () => {
    env.GATEWAY_PORT = 'http'
    await expect(begin()).rejects.toThrow('GATEWAY_PORT expects a port from 1 to 65535, got "http"')
  })

  it('names a wiki that is not there, or empty', async () => {
    await expect(begin('nowhere')).rejects.toThrow(/nowhere there is nothing/)
    mkdirSync(join(root, 'empty'))
    await expect(begin('empty')).rejects.toThrow(/empty holds no Markdown/)
  })

  it('names a database that cannot be reached, and leaves no process behind', async () => {
    env.DATABASE_URL = `postgres://me:secret@127.0.0.1:${await freePort()}/x`
    await expect(begin()).rejects.toThrow(/DATABASE_URL=postgres:\/\/me:\*\*\*@.* cannot be used: .*ECONNREFUSED/)
    expect(left()).toEqual([])
  })

  it('names a NATS server that is too old, and leaves no process behind', async () => {
    env.NATS_URL = `nats://127.0.0.1:${await listen('INFO {"version":"2.9.10","jetstream":true}\r\n')}`
    await expect(begin()).rejects.toThrow(/is nats-server 2\.9\.10, expected 2\.11\.0 or later/)
    expect(left()).toEqual([])
  })

  it('ends with the last log lines of a service that keeps dying, and leaves no process behind', async () => {
    const { natsUrl } = await useServers()
    const database = await createTestDatabase()
    env = { ...env, NATS_URL: natsUrl, DATABASE_URL: database.url }
    standIns('console.error("bad configuration: LOG_LEVEL"); process.exit(1)')
    await expect(begin()).rejects.toThrow(
      /ended 5 times \(exit code 1\)\. Its last log lines:\nbad configuration: LOG_LEVEL/,
    )
    expect(written).toContain('starting it again in 250 ms')
    expect(left()).toEqual([])
    await database.drop()
  })

  it('stops in order within ten seconds when it is asked to while it starts', async () => {
    const asked = new AbortController()
    standIns('process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000)')
    const ended = begin('wiki', asked.signal)
    const logs = join(root, 'home', 'logs')
    await expect.poll(() => existsSync(logs) && readdirSync(logs).length, { timeout: 20_000 }).toBe(services.length)
    const began = Date.now()
    asked.abort(new Error('stopped by a signal'))
    await expect(ended).rejects.toThrow(/stopped by a signal|aborted/)
    expect(Date.now() - began).toBeLessThan(10_000)
    expect(left()).toEqual([])
  })
})
