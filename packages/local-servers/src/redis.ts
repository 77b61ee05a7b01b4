import { accessSync, constants, mkdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { LocalServerError } from './local-server-error.ts'
import type { ManagedServer } from './managed-server.ts'
import { ServerProcess } from './server-process.ts'

/** The redis-server on PATH, for tests only: Tagloom itself never starts a Redis. */
export function findRedisServer(env: Record<string, string | undefined>): string | undefined {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const program = join(folder, 'redis-server')
    try {
      accessSync(program, constants.X_OK)
      return program
    } catch {
      // the next folder
    }
  }
  return undefined
}

/** A Redis on 127.0.0.1 that keeps nothing on disk. */
export async function localRedis(program: string, home: string): Promise<ManagedServer> {
  const folder = join(home, 'redis')
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  let server: ServerProcess | undefined
  return {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      if (server !== undefined && !server.exited) return
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
      const logFile = join(folder, 'redis.log')
      server = await ServerProcess.spawn({ command: program, args, logFile, user: undefined })
      const deadline = Date.now() + 15_000
      while (!server.exited && Date.now() < deadline) {
        if (await answersPing(port)) return
        await delay(25)
      }
      const tail = server.logTail()
      await server.end('SIGTERM', 2_000)
      throw new LocalServerError('server_did_not_start', `redis-server did not start. Its last words:\n${tail}`)
    },
    async stop() {
      await server?.end('SIGTERM', 5_000)
    },
    async kill() {
      await server?.kill()
    },
    async wipe() {
      await server?.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Whether a Redis at this port of 127.0.0.1 answers a PING. */
export function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => settle(data.toString().startsWith('+PONG')))
  })
}
