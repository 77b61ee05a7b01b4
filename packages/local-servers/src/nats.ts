import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { LocalServerError } from './local-server-error.ts'
import type { OwnServer } from './managed-server.ts'
import { readNatsInfo } from './nats-info.ts'
import { endRecorded } from './process-identity.ts'
import { ServerProcess } from './server-process.ts'

export interface NatsOptions {
  /** An absolute folder: `nats/` in it holds the store, the settings and the log. */
  home: string
  /** The nats-server program, see `findNatsServer`. */
  program: string
  startTimeoutMs?: number
}

/** nats-server with JetStream on 127.0.0.1 alone; the same folder gives the same port and streams again. */
export async function localNats(options: NatsOptions): Promise<OwnServer> {
  const folder = join(options.home, 'nats')
  const store = join(folder, 'store')
  const config = join(folder, 'nats-server.conf')
  const pidFile = join(folder, 'nats-server.pid')
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  await endRecorded(pidFile, config, 'SIGTERM')
  const port = await freePort(rememberedPort(config))
  writeFileSync(config, settings(port, store, pidFile))
  let server: ServerProcess | undefined

  return {
    url: `nats://127.0.0.1:${port}`,
    async start() {
      if (server !== undefined && !server.exited) return
      await endRecorded(pidFile, config, 'SIGTERM')
      const logFile = join(folder, 'nats-server.log')
      server = await ServerProcess.spawn({ command: options.program, args: ['-c', config], logFile, user: undefined })
      if (await isServing(port, server, options.startTimeoutMs ?? 30_000)) return
      const tail = server.logTail()
      await server.end('SIGTERM', 5_000)
      throw new LocalServerError('server_did_not_start', `nats-server did not start. Its last words:\n${tail}`)
    },
    async whenExited() {
      await server?.whenExited
    },
    async stop() {
      await server?.end('SIGTERM', 3_500)
    },
    async kill() {
      await server?.kill()
    },
    async wipe() {
      await server?.kill()
      rmSync(store, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
}

function settings(port: number, store: string, pidFile: string): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    'server_name: "tagloom-local"',
    `pid_file: ${JSON.stringify(pidFile)}`,
    // A stream's max_bytes is set aside of what the server may store, whether it is used or not, and by default that is three quarters of
    // the free disk: a small disk, or a test run with its streams for each file, would be refused streams that stay nearly empty.
    `jetstream { store_dir: ${JSON.stringify(store)}, max_file_store: 16TB }`,
    '',
  ].join('\n')
}

function rememberedPort(config: string): number | undefined {
  try {
    const found = /^listen: "127\.0\.0\.1:(\d+)"$/m.exec(readFileSync(config, 'utf8'))
    return found ? Number(found[1]) : undefined
  } catch {
    return undefined
  }
}

async function isServing(port: number, server: ServerProcess, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (!server.exited && Date.now() < deadline) {
    try {
      const info = await readNatsInfo('127.0.0.1', port, 1_000)
      if (info.jetstream === true) return true
    } catch {
      // not there yet
    }
    await delay(25)
  }
  return false
}
