import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Misbehaving, type Misbehaviour, misbehaviours, type Outcome } from './misbehaviours.ts'

/*
 * A server that speaks the protocol of OpenAI and, for tests, misbehaves in a way of choice. It counts what it did, so that a run's
 * record can be held against it, and how many calls it had at once.
 */

export interface MisbehavingServer {
  readonly endpoint: string
  /** Variables of a tagger that asks it, three times at most and without long pauses. */
  variables(limits: { timeoutMs: number; parallel: number }): Record<string, string>
  /** What the next calls get, in turn */
  ways: readonly Misbehaviour[]
  /** Calls so far by what they count as */
  readonly counts: Readonly<Record<Outcome, number>>
  /** Calls so far */
  readonly calls: number
  /** When each call came, by performance.now() */
  readonly cameAt: readonly number[]
  /** Bodies of the calls */
  readonly bodies: readonly string[]
  /** Calls in progress */
  readonly open: number
  /** Most calls in progress at the same time */
  readonly mostAtOnce: number
  /** Calls whose answer was sent whole */
  readonly answered: number
  /** How long each call was open, ms */
  readonly tookMs: readonly number[]
  /** No call gets its answer before this */
  gate: Promise<void>
  /** Longest time that a call was open, ms */
  readonly longestMs: number
  reset(): void
  close(): Promise<void>
}

const fresh = () => ({
  calls: 0,
  bodies: [] as string[],
  cameAt: [] as number[],
  mostAtOnce: 0,
  answered: 0,
  tookMs: [] as number[],
  longestMs: 0,
  counts: { answer: 0, failure: 0, timeout: 0, unreadable: 0 } as Record<Outcome, number>,
})

/** @param holdMs each good answer takes this long */
export async function openMisbehavingServer(holdMs = 0): Promise<MisbehavingServer> {
  const state = { ways: ['good'] as readonly Misbehaviour[], gate: Promise.resolve(), open: 0, ...fresh() }
  const server: Server = createServer((request, response) => {
    const began = performance.now()
    const call = ++state.calls
    state.cameAt.push(began)
    state.mostAtOnce = Math.max(state.mostAtOnce, ++state.open)
    request.socket.setNoDelay()
    response.on('error', () => {})
    response.once('finish', () => void state.answered++)
    response.once('close', () => {
      state.open--
      state.tookMs.push(performance.now() - began)
      state.longestMs = Math.max(state.longestMs, performance.now() - began)
    })
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      state.bodies.push(body)
      const [outcome, behave] = misbehaviours[state.ways[(call - 1) % state.ways.length]!] as Misbehaving
      state.counts[typeof outcome === 'string' ? outcome : outcome({ body })]++
      const { gate } = state
      setTimeout(() => void gate.then(() => behave(response, request, { body })), holdMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint = `http://127.0.0.1:${port}/v1`
  return Object.assign(state, {
    endpoint,
    variables: ({ timeoutMs, parallel }: { timeoutMs: number; parallel: number }) => ({
      LLM_ENDPOINT: endpoint,
      LLM_MODEL: 'test',
      LLM_TIMEOUT_MS: String(timeoutMs),
      LLM_BACKOFF_MS: '5',
      LLM_MAX_ATTEMPTS: '3',
      LLM_PRICES: '{"test":{"in":1,"out":2}}',
      MAX_PARALLEL_LLM_CALLS: String(parallel),
    }),
    reset() {
      Object.assign(state, fresh())
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
