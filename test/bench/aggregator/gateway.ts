import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { freePort } from '@tagloom/local-servers'
import { endsWithBench } from '../ground/own-servers.ts'

const apiKey = 'bench-key-of-enough-length'

/** Runs `work` against a gateway of its own. */
export async function withGateway(
  servers: { databaseUrl: string; natsUrl: string },
  env: Record<string, string>,
  work: (base: string) => Promise<void>,
): Promise<void> {
  const port = await freePort()
  const main = fileURLToPath(new URL('../../../services/gateway/src/main.ts', import.meta.url))
  const gateway = spawn(process.execPath, [...process.execArgv, main], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: servers.databaseUrl,
      NATS_URL: servers.natsUrl,
      PORT: String(port),
      TAGLOOM_API_KEY: apiKey,
      // Counted and logged like any request, only never refused
      RATE_LIMIT_PER_MINUTE: '100000000',
      LOG_LEVEL: 'INFO',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  endsWithBench(gateway)
  const base = `http://127.0.0.1:${port}`
  try {
    await untilReady(`${base}/readyz`, gateway)
    await work(base)
  } finally {
    gateway.kill('SIGTERM')
    await once(gateway, 'exit')
  }
}

export const connections = 16
const agent = new Agent({ keepAlive: true, maxSockets: connections })

export function request(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent, headers: { 'x-api-key': apiKey } }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`expected 200 from ${url}, got ${response.statusCode}: ${text}`))
      })
    }).on('error', reject)
  })
}

/** Processor time that the gateway has used, in µs. */
export async function cpuOfGateway(base: string): Promise<number> {
  const text = await request(`${base}/metrics`)
  return Number(/^process_cpu_seconds_total\S* (\S+)/m.exec(text)?.[1]) * 1e6
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + 30_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`)
    try {
      await request(url)
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
