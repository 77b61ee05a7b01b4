import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  Cluster,
  ClusterMetrics,
  ImportReport,
  Job,
  JobOptions,
  JobProgress,
  List,
  Problem,
  Wiki,
} from '@tagloom/contracts'
import { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts'

const CALL_TIMEOUT_MS = 30_000
/** An import is given up when the gateway takes nothing, or says nothing after the last page, for this long. */
const IMPORT_IDLE_MS = 180_000
const MOST_RECONNECTS = 30
/** A gateway that is overloaded or has lost a server says so with 503 and is asked again for this long. */
const BUSY_FOR_MS = 60_000

/** What the gateway refused, with its stable code (RFC 9457). */
class GatewayRefusal extends Error {
  override readonly name = 'GatewayRefusal'
  readonly code: string
  readonly status: number

  constructor(status: number, problem: Partial<Problem> | undefined, what: string) {
    super(`${what}: ${problem?.detail ?? problem?.title ?? `the gateway answered ${status}`}`)
    this.code = problem?.code ?? 'unknown'
    this.status = status
  }
}

/** What a job says of itself while it runs. `ended` is the last. */
export type JobNews =
  | { kind: 'snapshot'; job: Job }
  | { kind: 'progress'; progress: JobProgress }
  | { kind: 'ended'; job: Job }

/** Tagloom's REST API as `npm start` uses it. */
export class GatewayClient {
  readonly base: string
  readonly key: string

  constructor(base: string, key: string) {
    this.base = base
    this.key = key
  }

  async wikiNamed(name: string, signal: AbortSignal): Promise<Wiki> {
    const found = await this.#call<List<Wiki>>('GET', `/api/wikis?name=${encodeURIComponent(name)}`, signal)
    return found.items[0] ?? (await this.#call<Wiki>('POST', '/api/wikis', signal, { name }))
  }

  /** Sends the lines as they come; memory stays the same whatever their number. `lines` is called again for another try. */
  importPages(
    wikiId: number,
    lines: () => AsyncIterable<Uint8Array>,
    options: { replace: boolean; signal: AbortSignal },
  ): Promise<ImportReport> {
    return whileBusy(options.signal, () => this.#import(wikiId, lines(), options))
  }

  async #import(
    wikiId: number,
    lines: AsyncIterable<Uint8Array>,
    options: { replace: boolean; signal: AbortSignal },
  ): Promise<ImportReport> {
    const idle = new AbortController()
    const giveUp = (): void => idle.abort(new Error(`the import stood still for ${IMPORT_IDLE_MS / 1000} s`))
    let timer = setTimeout(giveUp, IMPORT_IDLE_MS)
    async function* watched(): AsyncGenerator<Uint8Array> {
      for await (const line of lines) {
        yield line
        clearTimeout(timer)
        timer = setTimeout(giveUp, IMPORT_IDLE_MS)
      }
    }
    try {
      const response = await fetch(`${this.base}/api/wikis/${wikiId}/pages?replace=${options.replace}`, {
        method: 'POST',
        headers: { ...this.#headers(), 'content-type': 'application/x-ndjson' },
        body: ReadableStream.from(watched()),
        duplex: 'half',
        signal: AbortSignal.any([options.signal, idle.signal]),
      })
      return await answerOf<ImportReport>(response, 'The import was refused')
    } finally {
      clearTimeout(timer)
    }
  }

  /** The idempotency key makes a repeat the same job. */
  createJob(wikiId: number, signal: AbortSignal, options: JobOptions = {}): Promise<Job> {
    return this.#call<Job>('POST', `/api/wikis/${wikiId}/jobs`, signal, options, { 'idempotency-key': randomUUID() })
  }

  /** The life of a job to its end. A connection that breaks is taken up again after the last event that came. */
  async *jobNews(jobId: string, signal: AbortSignal): AsyncGenerator<JobNews> {
    let lastId: string | undefined
    for (let failures = 0; ; ) {
      try {
        for await (const event of this.#events(jobId, lastId, signal)) {
          failures = 0
          lastId = event.id ?? lastId
          const news = newsOf(event)
          if (news === undefined) continue
          yield news
          if (news.kind === 'ended') return
        }
      } catch (error) {
        if (signal.aborted || (error instanceof GatewayRefusal && error.status < 500) || failures >= MOST_RECONNECTS)
          throw error
      }
      if (failures++ >= MOST_RECONNECTS)
        throw new Error(`the gateway closed the events of the job ${MOST_RECONNECTS} times in a row without one`)
      await delay(Math.min(100 * 2 ** failures, 2_000), undefined, { signal })
    }
  }

  async *#events(jobId: string, lastId: string | undefined, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
    const response = await fetch(`${this.base}/api/jobs/${encodeURIComponent(jobId)}/events`, {
      headers: { ...this.#headers(), accept: 'text/event-stream', ...(lastId && { 'last-event-id': lastId }) },
      signal,
    })
    if (!response.ok || response.body === null) await answerOf(response, 'The events of the job were refused')
    yield* serverSentEvents(response.body!)
  }

  clusterMetrics(wikiId: number, signal: AbortSignal): Promise<ClusterMetrics> {
    return this.#call<ClusterMetrics>('GET', `/api/tags/cluster-metrics/${wikiId}`, signal)
  }

  /** Every cluster of the wiki's current job. */
  async clusters(wikiId: number, signal: AbortSignal): Promise<Cluster[]> {
    const all: Cluster[] = []
    let cursor = ''
    do {
      const path = `/api/wikis/${wikiId}/clusters?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`
      const part = await this.#call<List<Cluster>>('GET', path, signal)
      all.push(...part.items)
      cursor = part.next_cursor ?? ''
    } while (cursor !== '')
    return all
  }

  #call<T>(method: string, path: string, signal: AbortSignal, body?: unknown, headers = {}): Promise<T> {
    return whileBusy(signal, async () => {
      const response = await fetch(this.base + path, {
        method,
        headers: { ...this.#headers(), ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
      })
      return answerOf<T>(response, `${method} ${path} was refused`)
    })
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.key}` }
  }
}

async function whileBusy<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + BUSY_FOR_MS
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof GatewayRefusal) || error.status !== 503 || Date.now() > deadline) throw error
    }
    await delay(500, undefined, { signal })
  }
}

async function answerOf<T>(response: Response, what: string): Promise<T> {
  const text = await response.text()
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (cause) {
    if (response.ok)
      throw new Error(`expected JSON from ${response.url}, got ${JSON.stringify(text.slice(0, 80))}`, { cause })
  }
  if (!response.ok) throw new GatewayRefusal(response.status, body as Partial<Problem> | undefined, what)
  return body as T
}

function newsOf({ event, data }: ServerSentEvent): JobNews | undefined {
  if (event === 'snapshot' || event === 'ended') return { kind: event, job: JSON.parse(data) as Job }
  if (event === 'progress') return { kind: event, progress: JSON.parse(data) as JobProgress }
  return undefined
}
