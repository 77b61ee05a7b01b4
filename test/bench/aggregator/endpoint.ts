import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endsWithBench } from '../ground/own-servers.ts'
import { connections, cpuOfGateway, request } from './gateway.ts'

/** Requests/s and processor time of an endpoint beside a bare Fastify route that answers with the same body, in turns. */
export async function measureEndpoint(base: string, path: string, seconds: number) {
  const body = await request(base + path)
  const file = fileURLToPath(new URL('../peers/bare-route.ts', import.meta.url))
  const bare = endsWithBench(fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }))
  bare.send(body)
  const [bareUrl] = (await once(bare, 'message')) as [string]
  const of = { bare: [] as Loaded[], gateway: [] as Loaded[] }
  await load(bareUrl, 1)
  await load(base + path, 1)
  for (let round = 0; round < 3; round++) {
    of.bare.push(await loaded(bareUrl, seconds, () => cpuOfBare(bare)))
    of.gateway.push(await loaded(base + path, seconds, () => cpuOfGateway(base)))
  }
  bare.kill()
  const median = (values: number[]) => Math.round(values.sort((a, b) => a - b)[1] as number)
  const rps = (rows: Loaded[]) => median(rows.map((row) => row.rps))
  const cpu = (rows: Loaded[]) => median(rows.map((row) => row.cpuUs))
  return {
    body_bytes: body.length,
    bare_rps: rps(of.bare),
    gateway_rps: rps(of.gateway),
    ratio: rps(of.gateway) / rps(of.bare),
    // Processor time of one answer, which other work on the machine disturbs less
    bare_cpu_us: cpu(of.bare),
    gateway_cpu_us: cpu(of.gateway),
    cpu_ratio: cpu(of.bare) / cpu(of.gateway),
  }
}

interface Loaded {
  readonly rps: number
  readonly cpuUs: number
}

async function loaded(url: string, seconds: number, cpuUs: () => Promise<number>): Promise<Loaded> {
  const before = await cpuUs()
  const answered = await load(url, seconds)
  return { rps: answered / seconds, cpuUs: ((await cpuUs()) - before) / answered }
}

async function cpuOfBare(bare: ChildProcess): Promise<number> {
  bare.send('cpu')
  const [us] = (await once(bare, 'message')) as [number]
  return us
}

/** Over some kept connections. @returns answers */
async function load(url: string, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000
  let answered = 0
  const one = async () => {
    while (performance.now() < end) {
      // A gateway that is told to be overloaded says so; that is no answer.
      const answer = await request(url).catch((error: Error) => error)
      if (typeof answer === 'string') answered++
      else await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  return answered
}
