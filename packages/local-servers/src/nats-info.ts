import { connect } from 'node:net'
import { LocalServerError } from './local-server-error.ts'

export const OLDEST_NATS = '2.11.0'

export interface NatsInfo {
  version: string
  jetstream?: boolean
}

/** What a NATS server says of itself in the first line it sends (INFO, the protocol's greeting). */
export function readNatsInfo(host: string, port: number, timeoutMs: number): Promise<NatsInfo> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let said = ''
    const fail = (reason: string, cause?: unknown): void => {
      socket.destroy()
      reject(
        new LocalServerError('server_unreachable', `No NATS server answers at ${host}:${port}: ${reason}.`, { cause }),
      )
    }
    socket.setTimeout(timeoutMs, () => fail(`nothing came within ${timeoutMs} ms`))
    socket.once('error', (error) => fail(error.message || String((error as NodeJS.ErrnoException).code), error))
    socket.once('end', () => fail('the connection was closed without a greeting'))
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      said += chunk
      if (said.length > 65_536 || (said.length >= 5 && !said.startsWith('INFO '))) {
        fail(`it greets with ${JSON.stringify(said.slice(0, 20))}, expected "INFO {…}"`)
        return
      }
      const end = said.indexOf('\r\n')
      if (end < 0) return
      socket.destroy()
      try {
        resolve(JSON.parse(said.slice(5, end)) as NatsInfo)
      } catch (error) {
        fail('its INFO line is not JSON', error)
      }
    })
  })
}

/** True when `version` ("2.15.2", "v2.11.0-beta") is `oldest` or later. */
export function isAtLeast(version: string, oldest: string): boolean {
  const numbers = (text: string): number[] => (/\d+(\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number)
  const have = numbers(version)
  const want = numbers(oldest)
  for (let i = 0; i < want.length; i++) {
    const difference = (have[i] ?? 0) - want[i]!
    if (difference !== 0) return difference > 0
  }
  return true
}
