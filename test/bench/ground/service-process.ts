import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ServiceName } from '@tagloom/contracts'
import { freePort } from '@tagloom/local-servers'
import { endsWithBench } from './own-servers.ts'

type Line = Readonly<Record<string, unknown>>

/** A service as it runs in earnest, with what it logs. */
export interface ServiceProcess {
  readonly lines: readonly Line[]
  of(event: string): Line[]
  /** A value of /proc/<pid>/status, which is Linux only; VmHWM is the most since the start or `forgetPeak` */
  memoryMb(name: 'VmRSS' | 'VmHWM'): number
  forgetPeak(): void
  stop(): Promise<void>
}

export async function startService(
  name: ServiceName,
  servers: { databaseUrl: string; natsUrl: string },
): Promise<ServiceProcess> {
  const main = fileURLToPath(new URL(`../../../services/${name}/src/main.ts`, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [main], {
    env: {
      MALLOC_ARENA_MAX: '2',
      ...process.env,
      ORT_DISABLE_TELEMETRY: '1',
      DATABASE_URL: servers.databaseUrl,
      NATS_URL: servers.natsUrl,
      HOST: '127.0.0.1',
      PORT: String(await freePort()),
      LOG_LEVEL: 'DEBUG',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endsWithBench(child)
  const lines: Line[] = []
  const reading = createInterface({ input: child.stdout! })
  const ready = Promise.withResolvers<void>()
  reading.on('line', (text) => {
    const line = JSON.parse(text) as Line
    lines.push(line)
    if (line.event === 'service_ready') ready.resolve()
  })
  child.once('exit', () => ready.reject(new Error(`the ${name} ended before it was ready`)))
  await ready.promise
  await delay(1_500)
  return {
    lines,
    of: (event) => lines.filter((line) => line.event === event),
    memoryMb(value) {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      return Math.round(Number(new RegExp(`${value}:\\s+(\\d+)`).exec(status)?.[1]) / 1024)
    },
    forgetPeak: () => writeFileSync(`/proc/${child.pid}/clear_refs`, '5'),
    async stop() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
