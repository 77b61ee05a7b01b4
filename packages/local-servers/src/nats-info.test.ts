import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort } from './free-port.ts'
import { isAtLeast } from './nats-info.ts'
import { checkNats, checkPostgres } from './reach.ts'

describe('isAtLeast', () => {
  it.each([
    ['2.11.0', true],
    ['v2.15.2', true],
    ['3.0.0-beta.1', true],
    ['2.10.29', false],
    ['2.9.10', false],
    ['unknown', false],
  ])('%s against 2.11.0 is %s', (version, expected) => {
    expect(isAtLeast(version, '2.11.0')).toBe(expected)
  })
})

describe('a server that the environment names', () => {
  let server: Server | undefined
  afterEach(() => void server?.close())

  async function greeting(line: string): Promise<string> {
    server = createServer((socket) => void socket.end(line))
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
    return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  it('is refused when nats-server is too old', async () => {
    const url = await greeting('INFO {"version":"2.9.10","jetstream":true}\r\n')
    await expect(checkNats(url)).rejects.toThrow(/is nats-server 2\.9\.10, expected 2\.11\.0 or later/)
  })

  it('is refused when it has no JetStream', async () => {
    const url = await greeting('INFO {"version":"2.15.2"}\r\n')
    await expect(checkNats(url)).rejects.toThrow(/has no JetStream: start it with -js/)
  })

  it('is refused when something else answers there', async () => {
    const url = await greeting('SSH-2.0-OpenSSH_9.2\r\n')
    await expect(checkNats(url)).rejects.toThrow(/greets with "SSH-2\.0-OpenSSH_9\.2/)
  })

  it('is refused when nobody answers, and no password is shown', async () => {
    const port = await freePort()
    await expect(checkNats(`nats://me:secret@127.0.0.1:${port}`)).rejects.toThrow(/me:\*\*\*@.*ECONNREFUSED/s)
    await expect(checkPostgres(`postgres://me:secret@127.0.0.1:${port}/x`)).rejects.toThrow(/me:\*\*\*@.*ECONNREFUSED/s)
  })
})
