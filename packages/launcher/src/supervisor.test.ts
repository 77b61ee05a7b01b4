import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@tagloom/local-servers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServiceSpec } from './supervised-service.ts'
import { Supervisor } from './supervisor.ts'

const READY = `
  import { createServer } from 'node:http'
  const server = createServer((_, response) => response.end())
  server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send('listening'))
  console.log(JSON.stringify({ name: process.env.NAME, pid: process.pid }))
`
const STOPS = `process.on('SIGTERM', () => { console.log(process.env.NAME + ' stops'); server.close(); server.closeAllConnections() })`

describe('the supervisor', () => {
  let folder: string
  let said: string[]
  let supervisor: Supervisor

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'supervisor-'))
    said = []
    supervisor = new Supervisor({
      logFolder: join(folder, 'logs'),
      say: (line) => said.push(line),
      policy: { firstDelayMs: 10, longestDelayMs: 50, mostDeaths: 3 },
    })
  })
  afterEach(async () => {
    await supervisor.stop(2_000)
    rmSync(folder, { recursive: true, force: true })
  })

  async function service(name: string, script: string): Promise<ServiceSpec> {
    const main = join(folder, `${name}.mjs`)
    writeFileSync(main, script)
    const port = await freePort()
    return { name, main, port, env: { PATH: process.env.PATH, NAME: name, PORT: String(port) } }
  }
  const log = (name: string): string => readFileSync(join(folder, 'logs', `${name}.log`), 'utf8')

  it('starts services, waits until they are ready, and stops them by SIGTERM', async () => {
    for (const name of ['first', 'second']) supervisor.start(await service(name, READY + STOPS))
    await supervisor.whenReady(10_000)
    const pids = supervisor.services.map((running) => running.pid!)
    await supervisor.stop(5_000)
    expect(log('first')).toContain('first stops')
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/)
  })

  it('starts a killed service again, as another process at the same port', async () => {
    const running = supervisor.start(await service('one', READY + STOPS))
    await supervisor.whenReady(10_000)
    const before = running.pid
    running.kill()
    await vi.waitFor(() => expect(said.join()).toContain('one ended (SIGKILL); starting it again in 10 ms'))
    await supervisor.whenReady(10_000)
    expect(running.pid).not.toBe(before)
  })

  it('gives up one that keeps dying, with its last log lines', async () => {
    supervisor.start(await service('sick', `console.error('no such database'); process.exit(3)`))
    await expect(supervisor.whenReady(10_000)).rejects.toThrow(
      /sick ended 3 times \(exit code 3\)[\s\S]*no such database/,
    )
    expect(said).toHaveLength(2)
  })

  it('gives up at once one that says its variables are wrong', async () => {
    supervisor.start(await service('misled', `console.error('PORT: must be integer'); process.exit(78)`))
    await expect(supervisor.whenReady(10_000)).rejects.toThrow(/misled ended once \(exit code 78\)[\s\S]*PORT: must be/)
    expect(said).toEqual([])
  })

  it('says first why a service that it gives up failed, where its log tells', async () => {
    const line = JSON.stringify({
      level: 'CRITICAL',
      event: 'service_failed',
      code: 'Error',
      reason: 'no "model"\nhere',
    })
    supervisor.start(await service('sick', `console.log(${JSON.stringify(line)}); process.exit(1)`))
    await expect(supervisor.whenReady(10_000)).rejects.toThrow(
      /^sick ended 3 times \(exit code 1\): no "model"\nhere\. Its last log lines:/,
    )
  })

  it('gives up one that is never ready', async () => {
    supervisor.start(await service('slow', 'setInterval(() => {}, 1000)'))
    await expect(supervisor.whenReady(300)).rejects.toThrow(/slow was not ready within 0\.3 s/)
  })

  it('waits longer for one that says that its start goes on, and says what it takes its time for', async () => {
    const tells = `
      let told = 0
      const timer = setInterval(() => {
        process.send({ starting: 'downloading a model, ' + (told < 8 ? 0 : 50) + ' %' })
        if (++told === 16) { clearInterval(timer); begin() }
      }, 50)
      function begin() {${READY.replace(/import .*/, '')}}
    `
    supervisor.start(await service('slow', `import { createServer } from 'node:http'\n${tells}`))
    await supervisor.whenReady(600)
    expect(said).toEqual(['slow: downloading a model, 0 %', 'slow: downloading a model, 50 %'])
  })

  it('gives up one whose start went on and then stands still', async () => {
    supervisor.start(await service('stuck', `process.send({ starting: 'downloading' }); setInterval(() => {}, 1000)`))
    await expect(supervisor.whenReady(400)).rejects.toThrow(/stuck was not ready within 0\.4 s/)
    expect(said).toEqual(['stuck: downloading'])
  })

  it('takes nobody else who answers at the port of a service for it', async () => {
    const spec = await service('late', `await new Promise((resolve) => setTimeout(resolve, 200))${READY}`)
    const foreign = createServer((_, response) => response.end()).listen(spec.port, '127.0.0.1')
    await once(foreign, 'listening')
    supervisor.start(spec)
    await expect(supervisor.whenReady(10_000)).rejects.toThrow(/late ended 3 times[\s\S]*EADDRINUSE/)
    foreign.close()
    foreign.closeAllConnections()
  })

  it('puts the log of a running service aside when it has grown large, without ending the service', async () => {
    await supervisor.stop(100)
    supervisor = new Supervisor({
      logFolder: join(folder, 'logs'),
      say: (line) => said.push(line),
      largestLogBytes: 5_000,
      lookAtLogsEveryMs: 10,
    })
    const talks = `\nsetInterval(() => console.log('x'.repeat(99)), 1)`
    const running = supervisor.start(await service('talker', READY + STOPS + talks))
    const pid = running.pid
    const aside = () => statSync(join(folder, 'logs', 'talker.log.1')).mtimeMs
    const first = await vi.waitFor(aside, 10_000)
    await vi.waitFor(() => expect(aside()).toBeGreaterThan(first), 10_000)
    await vi.waitFor(() => expect(log('talker')).toContain('xxx'))
    expect(running.pid).toBe(pid)
    expect(said).toEqual([])
  })

  it('kills one that does not stop in time', async () => {
    const running = supervisor.start(await service('stubborn', `${READY}process.on('SIGTERM', () => {})`))
    await supervisor.whenReady(10_000)
    const pid = running.pid!
    await supervisor.stop(400)
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/)
  })

  it('takes its services with it when it is killed itself', async () => {
    const spec = await service('child', READY)
    const script = `
      import { Supervisor } from ${JSON.stringify(join(import.meta.dirname, 'supervisor.ts'))}
      const supervisor = new Supervisor({ logFolder: ${JSON.stringify(join(folder, 'logs'))}, say() {} })
      const running = supervisor.start(${JSON.stringify(spec)})
      await supervisor.whenReady(10000)
      console.log(running.pid)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = Number(await new Promise((resolve) => parent.stdout.once('data', (data) => resolve(String(data)))))
    expect(process.kill(pid, 0)).toBe(true)
    parent.kill('SIGKILL')
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(/ESRCH/), { timeout: 5_000 })
  })
})
