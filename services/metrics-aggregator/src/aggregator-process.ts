import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Bus } from '@tagloom/bus'
import { events, type MetricSample, toMessage } from '@tagloom/contracts'
import { type Database, readJob } from '@tagloom/database'
import { completedJob, type RunFigures, samplesOf } from './testing.ts'

/*
 * For tests: the real process of this service, as many as wanted, with what the rest of the pipeline would send to it.
 */

const main = fileURLToPath(new URL('./main.ts', import.meta.url))

export type TestBus = Bus & { prefix: string; url: string }

export type AggregatorProcess = ChildProcess & {
  readonly lines: Record<string, unknown>[]
  /** Where its /metrics are */
  readonly address: string
}

/** The job's own request, which its messages carry on. */
const origin = {
  requestId: 'request-of-the-test',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}

export interface SentRun {
  readonly jobId: string
  readonly samples: readonly MetricSample[]
}

export class AggregatorProcesses {
  readonly #db: Database & { url: string }
  readonly #bus: TestBus
  readonly #running = new Set<ChildProcess>()

  constructor(db: Database & { url: string }, bus: TestBus) {
    this.#db = db
    this.#bus = bus
  }

  /** One more process, ready to work. */
  async start(env: Record<string, string> = {}): Promise<AggregatorProcess> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: this.#db.url,
        NATS_URL: this.#bus.url,
        NATS_PREFIX: this.#bus.prefix,
        PORT: '0',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#running.add(child)
    const lines: Record<string, unknown>[] = []
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) lines.push(JSON.parse(part))
    })
    const ready = () => lines.find((line) => line.event === 'service_ready')
    await until(async () => {
      if (child.exitCode !== null)
        throw new Error(`the aggregator ended with ${child.exitCode}: ${JSON.stringify(lines)}`)
      return ready() !== undefined
    }, 30_000)
    return Object.assign(child, { lines, address: `http://${ready()?.address}` })
  }

  async kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#running.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  async killAll(): Promise<void> {
    for (const child of this.#running) await this.kill(child)
  }

  publishSample(sample: MetricSample): Promise<unknown> {
    return this.#bus.publish(toMessage(events.metricsSampled, sample, { source: 'test' }))
  }

  async complete(wikiId: number, jobId: string, samples = 5): Promise<void> {
    const job = await readJob(this.#db, jobId)
    const data = { wiki_id: wikiId, job_id: jobId, pages_processed: 100, pages_tagged: 100, tags_applied: 300, samples }
    const context = {
      source: 'test',
      requestId: job?.requestId ?? undefined,
      traceparent: job?.traceparent ?? undefined,
    }
    await this.#bus.publish(toMessage(events.jobCompleted, data, context))
  }

  /** All that a job of the wiki sends. */
  async run(wikiId: number, figures: RunFigures = {}): Promise<SentRun> {
    const jobId = await completedJob(this.#db, wikiId, {}, origin)
    const samples = samplesOf(wikiId, jobId, figures)
    for (const sample of samples) await this.publishSample(sample)
    await this.complete(wikiId, jobId)
    return { jobId, samples }
  }
}

/** Waits for a condition. @returns ms until it held */
export async function until(holds: () => Promise<boolean>, withinMs = 20_000): Promise<number> {
  const started = performance.now()
  while (!(await holds())) {
    if (performance.now() - started > withinMs) throw new Error(`it did not hold within ${withinMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return performance.now() - started
}
