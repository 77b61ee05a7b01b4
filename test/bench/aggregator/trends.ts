import { cpuOfGateway, request } from './gateway.ts'

const warmUp = 20
const measured = 200

export interface Asked {
  readonly p50_ms: number
  readonly p95_ms: number
  readonly p99_ms: number
  /** Processor time of the gateway for one answer */
  readonly cpu_ms: number
}

/** How long one asker waits for an answer, from one to the next. */
export async function measureTrends(base: string, path: string): Promise<Asked> {
  const url = base + path
  const times: number[] = []
  let cpuUs = 0
  for (let i = 0; i < warmUp + measured; i++) {
    if (i === warmUp) cpuUs = await cpuOfGateway(base)
    const started = performance.now()
    await request(url)
    if (i >= warmUp) times.push(performance.now() - started)
  }
  const cpuMs = ((await cpuOfGateway(base)) - cpuUs) / measured / 1000
  times.sort((a, b) => a - b)
  const at = (share: number) => Number((times[Math.floor(share * (times.length - 1))] as number).toFixed(2))
  return { p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), cpu_ms: Number(cpuMs.toFixed(2)) }
}
