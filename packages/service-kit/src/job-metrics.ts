import {
  type CounterName,
  type EnvelopeContext,
  events,
  type GaugeName,
  type MetricSample,
  type OutgoingMessage,
  type ServiceName,
  type Stage,
  toMessage,
  type ValuesName,
} from '@tagloom/contracts'
import type { HandlerDeps } from './consume-events.ts'

const mostValues = 10_000

interface Started {
  readonly stage: Stage
  readonly batch: string
  readonly startedAt: Date
  readonly started: number
}
interface Ended {
  readonly endedAt: Date
  readonly seconds: number
}

/**
 * What one batch of one stage measures, collected while it is worked on and sent as one `metrics.sampled`:
 * startStage → increment, setGauge, observe … → endStage → toJSON. Keyed by (job, stage, batch), so a second delivery overwrites.
 */
export class JobMetrics {
  readonly #of: Pick<MetricSample, 'wiki_id' | 'job_id' | 'service' | 'version'>
  readonly #enabled: boolean
  readonly #counters = new Map<string, number>()
  readonly #gauges = new Map<string, number>()
  readonly #values = new Map<string, number[]>()
  readonly #details = new Map<string, unknown>()
  #stage: Started | undefined
  #ended: Ended | undefined

  /** As the handler of a message collects it. */
  static of(
    { config, databaseErrors }: Pick<HandlerDeps, 'config' | 'databaseErrors'>,
    run: { readonly wikiId: number; readonly jobId: string; readonly service: ServiceName },
  ): JobMetrics {
    return new JobMetrics({ ...run, enabled: config.ENABLE_METRICS, version: config.TAGLOOM_VERSION, databaseErrors })
  }

  /**
   * @param of.enabled ENABLE_METRICS: when false nothing is collected and nothing sent
   * @param of.version TAGLOOM_VERSION
   * @param of.databaseErrors failed transactions of the message in hand, see HandlerDeps
   */
  constructor(of: {
    readonly wikiId: number
    readonly jobId: string
    readonly service: ServiceName
    readonly enabled: boolean
    readonly version: string
    readonly databaseErrors: number
  }) {
    this.#of = { wiki_id: of.wikiId, job_id: of.jobId, service: of.service, version: of.version }
    this.#enabled = of.enabled
    if (of.databaseErrors > 0) this.increment('database_errors', of.databaseErrors)
  }

  /** @param batch 'plan', a batch number, or the name of a step */
  startStage(stage: Stage, batch: string | number): void {
    this.#stage = { stage, batch: String(batch), startedAt: new Date(), started: performance.now() }
    this.#ended = undefined
  }

  endStage(): void {
    if (!this.#stage) throw new Error('endStage: no stage was started, expected startStage before it')
    this.#ended = { endedAt: new Date(), seconds: (performance.now() - this.#stage.started) / 1000 }
  }

  /** Since the stage was started, or the time that it took once it has ended */
  get elapsedMs(): number {
    if (!this.#stage) throw new Error('elapsedMs: no stage was started, expected startStage before it')
    return this.#ended ? this.#ended.seconds * 1000 : performance.now() - this.#stage.started
  }

  increment(name: CounterName, by = 1): void {
    if (this.#enabled) this.#counters.set(name, (this.#counters.get(name) ?? 0) + by)
  }

  setGauge(name: GaugeName, value: number): void {
    if (this.#enabled) this.#gauges.set(name, value)
  }

  /** One observation of a measure that has means and percentiles; past 10,000 of a batch they are left out. */
  observe(name: ValuesName, value: number): void {
    if (!this.#enabled) return
    const values = this.#values.get(name) ?? []
    if (values.length < mostValues) values.push(value)
    this.#values.set(name, values)
  }

  /** Counts lookups in a query cache: what caches tell. */
  countLookups = ({ hits, misses }: { readonly hits: number; readonly misses: number }): void => {
    this.increment('cache_hits', hits)
    this.increment('cache_misses', misses)
  }

  /** Anything else that the record keeps under this name, as JSON. */
  setDetail(name: string, value: unknown): void {
    if (this.#enabled) this.#details.set(name, value)
  }

  /** The sample, its fields in the order of their schema, in which the bus reads it fastest; a stage that was not ended ends now. */
  toJSON(): MetricSample {
    if (!this.#ended) this.endStage()
    const stage = this.#stage as Started
    const ended = this.#ended as Ended
    const { service, version, ...run } = this.#of
    return {
      ...run,
      stage: stage.stage,
      batch: stage.batch,
      service,
      version,
      started_at: stage.startedAt.toISOString(),
      ended_at: ended.endedAt.toISOString(),
      duration_seconds: ended.seconds,
      counters: Object.fromEntries(this.#counters),
      gauges: Object.fromEntries(this.#gauges),
      ...(this.#values.size ? { values: Object.fromEntries(this.#values) } : {}),
      ...(this.#details.size ? { details: Object.fromEntries(this.#details) } : {}),
    }
  }

  /** The sample as what the transaction of the batch owes the bus; nothing where metrics are off. */
  toMessages(context: EnvelopeContext): OutgoingMessage[] {
    return this.#enabled ? [toMessage(events.metricsSampled, this.toJSON(), context)] : []
  }
}
