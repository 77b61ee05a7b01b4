import { setTimeout as wait } from 'node:timers/promises'
import { type ConsumeOptions, type Consumption, type Message, RetryLater } from '@tagloom/bus'
import type { CommonEnvironment, EnvelopeContext, EventDeclaration } from '@tagloom/contracts'
import { isConflict, isDatabaseError, JobNotRunning, readJob } from '@tagloom/database'
import type { FastifyInstance } from 'fastify'
import { type Cancellations, followCancellations, JobCancelled } from './cancellations.ts'
import { isDatabaseAway, untilDatabaseAnswers } from './database-away.ts'
import { failAssignmentOf } from './fail-assignment.ts'
import { failJobOf } from './fail-job.ts'
import type { Log } from './log.ts'
import { plainError } from './plain-error.ts'
import type { ServiceDeps } from './service-deps.ts'
import { childTraceparent, traceIdOf } from './tracing.ts'

/** What a handler works with. */
export interface HandlerDeps<Config extends CommonEnvironment = CommonEnvironment> extends ServiceDeps<Config> {
  /** Carries wiki_id, job_id, request_id and trace_id of the message */
  readonly log: Log
  /** For the messages that the handler emits: source, trace and request of the one in hand */
  readonly context: EnvelopeContext
  /** Name for the inbox */
  readonly consumer: string
  /** Transactions of this message that failed before: what its sample says of database_errors */
  readonly databaseErrors: number
}

export interface ConsumerOptions {
  /** Name shared by all replicas; without it `<service>-<event>` */
  readonly durable?: string
  /** Messages in hand at once; 1 without it */
  readonly concurrency?: number
  readonly ackWaitMs?: number
  readonly maxDeliver?: number
  readonly backoffMs?: readonly number[]
  /** Whether a message that cannot be handled fails its job; an assignment it fails always */
  readonly failsJob: boolean
}

/** One consumer of a service, to be started with the others. */
export type Consumer = (start: Start) => Promise<Consumption>
interface Start {
  readonly deps: ServiceDeps
  readonly cancellations: Cancellations
}

/** Declares what a service does with an event, or with several of the same stream. */
export function on<E extends EventDeclaration>(
  declared: E | readonly E[],
  options: ConsumerOptions,
  handle: (message: Message<E>, deps: HandlerDeps) => Promise<void>,
): Consumer {
  const list = [declared].flat() as E[]
  return ({ deps, cancellations }) => {
    const durable = options.durable ?? `${deps.name}-${list.map((event) => event.name.replaceAll('.', '-')).join('-')}`
    const { failsJob, ...settings } = options
    const consume: ConsumeOptions<E> = {
      concurrency: 1,
      ...settings,
      events: list,
      durable,
      onDead: async (message, reason) => {
        const ids = idsOf(message?.data)
        if (failsJob && ids.job_id) await failJobOf(deps, message as Message, 'message_dead', reason)
        if ((message?.data as { assignment_id?: string } | undefined)?.assignment_id)
          await failAssignmentOf(deps, message as Message, reason)
      },
    }
    const failures = new FailedTransactions()
    return deps.bus.consume(consume, (message) => deliver(deps, { cancellations, failures, durable }, message, handle))
  }
}

/**
 * Runs the consumers as part of the app: they begin when it is ready and end before it closes, finishing or handing back what is in hand.
 * @param graceMs most time for finishing
 */
export function consumeEvents(
  app: FastifyInstance,
  deps: ServiceDeps,
  consumers: readonly Consumer[],
  graceMs = 5_000,
): void {
  let running: Consumption[] = []
  let cancellations: Cancellations | undefined
  app.addHook('onReady', async () => {
    cancellations = followCancellations(deps.bus)
    const start = { deps, cancellations }
    running = await Promise.all(consumers.map((consumer) => consumer(start)))
  })
  app.addHook('preClose', async () => {
    await Promise.all(running.map((consumption) => consumption.stop(graceMs)))
    cancellations?.stop()
  })
}

const databaseBackWithinMs = 600_000
const mostOutages = 5
const afterLateCancelMs = 100
/** A transaction that lost against another is done again at once, so often, with these pauses. */
const conflictPausesMs = [20, 80, 320, 1_000]
const mostRemembered = 1_000

/** Failed transactions by message, so that what a delivery met is not forgotten by the next one that this process gets. Bounded. */
class FailedTransactions {
  #counts = new Map<string, number>()

  of(messageId: string): number {
    return this.#counts.get(messageId) ?? 0
  }

  add(messageId: string): void {
    const count = this.of(messageId) + 1
    this.#counts.delete(messageId)
    this.#counts.set(messageId, count)
    if (this.#counts.size > mostRemembered) this.#counts.delete(this.#counts.keys().next().value!)
  }

  forget(messageId: string): void {
    this.#counts.delete(messageId)
  }
}

interface Delivering {
  readonly cancellations: Cancellations
  readonly failures: FailedTransactions
  readonly durable: string
}

/**
 * One delivery. Dropped without a word: work of a job that was cancelled or has ended. Held, not failed: work that finds the database
 * away; a delivery is not used up by an outage of up to ten minutes, nor by a deadlock with another transaction.
 */
async function deliver<E extends EventDeclaration>(
  deps: ServiceDeps,
  { cancellations, failures, durable: consumer }: Delivering,
  message: Message<E>,
  handle: (message: Message<E>, deps: HandlerDeps) => Promise<void>,
): Promise<void> {
  const ids = idsOf(message.data)
  const traceparent = childTraceparent(message.traceparent)
  const log = deps.log.child({ ...ids, request_id: message.requestId, trace_id: traceIdOf(traceparent) })
  const context = { source: deps.name, traceparent, requestId: message.requestId }
  const held = ids.job_id ? cancellations.hold(ids.job_id) : undefined
  const signal = held ? AbortSignal.any([message.signal, held.signal]) : message.signal
  try {
    for (let outages = 0, conflicts = 0; ; ) {
      try {
        const databaseErrors = failures.of(message.id)
        await handle({ ...message, signal }, { ...deps, log, context, consumer, databaseErrors })
        return failures.forget(message.id)
      } catch (error) {
        const cancelled = held?.signal.reason instanceof JobCancelled
        // A cancel that is told late may be of an earlier attempt: what runs now has to be done.
        if (cancelled && (await readJob(deps.db, ids.job_id as string))?.status === 'running') {
          throw new RetryLater(afterLateCancelMs, `the job was cancelled and runs again: ${(error as Error).message}`)
        }
        if (cancelled || error instanceof JobNotRunning) {
          log.pino.debug({ reason: (error as Error).message }, 'dropped the work of a job that does not run')
          return
        }
        const plain = plainError(error)
        const away = isDatabaseAway(error)
        if (signal.aborted || (!away && !isDatabaseError(error))) throw plain
        failures.add(message.id)
        const code = away ? 'away' : String((plain as { code?: unknown }).code ?? 'unknown')
        log.event('database_error', { operation: consumer, code, reason: plain.message.slice(0, 2_000) })
        if (away && outages++ < mostOutages) await untilDatabaseAnswers(deps.db, signal, databaseBackWithinMs)
        else if (isConflict(error) && conflicts < conflictPausesMs.length)
          await wait(conflictPausesMs[conflicts++]! * (0.5 + Math.random()), undefined, { signal })
        else throw plain
      }
    }
  } finally {
    held?.done()
  }
}

function idsOf(data: unknown): { wiki_id?: number; job_id?: string } {
  const { wiki_id, job_id } = (data ?? {}) as { wiki_id?: number; job_id?: string }
  return { ...(wiki_id === undefined ? {} : { wiki_id }), ...(job_id === undefined ? {} : { job_id }) }
}
