import type { BatchConsumption, Bus, Consumption } from '@tagloom/bus'
import { events } from '@tagloom/contracts'
import { addForgottenEvaluations, type Database, expireRunData, listRunningJobs } from '@tagloom/database'
import { type Counter, type Log, type Relay, startLoop } from '@tagloom/service-kit'
import type { LiveRecords } from '@tagloom/service-kit/live-records'
import { judgeByClock } from './alerts/judge-clock.ts'
import type { Config } from './config.ts'
import { startDelivery } from './delivery/deliver.ts'
import { logDelivery } from './delivery/log-delivery.ts'
import type { Receiver } from './delivery/receivers.ts'
import { handleJobCancelled } from './job-cancelled/handle.ts'
import { handleJobCompleted } from './job-completed/handle.ts'
import { handleJobFailed } from './job-failed/handle.ts'
import { handleJobRequested } from './job-requested/handle.ts'
import { handleSamples } from './metrics-sampled/handle.ts'
import { keepCompletedJobs } from './records/completed-jobs.ts'
import { type JudgeDeps, judgeDueRuns, renewStaleRecords } from './records/judge-runs.ts'
import { startLiveRefresh } from './records/live-refresh.ts'
import { keptFields, type Samples, samplesInDatabase, samplesInLiveStore } from './records/samples.ts'

export interface AggregatorDeps {
  readonly db: Database
  readonly bus: Bus
  readonly commit: Relay['commit']
  readonly live: LiveRecords
  readonly log: Log
  readonly config: Config
  readonly receivers: readonly Receiver[]
  /** See withRunbookAt */
  readonly runbookBase: string
  readonly recordFailures: Counter<'outcome'>
}

export interface Aggregator {
  /** Stops taking messages, finishes what is in hand. */
  stop(): Promise<void>
}

const everySecond = 1_000
const everyMinute = 60_000
const everyHour = 3_600_000
const liveEveryMs = 250
/** A batch costs five statements, whatever its size. 4,000 and 8,000 drain a backlog alike, 1,000 and 2,000 slower. */
const samplesAtOnce = 4_000
const completedJobsKept = 1_000
const recordRetryPauseSeconds = 5
/** As long as the event stream keeps a job.completed */
const forgottenDays = 7

/**
 * Consumers and loops of the aggregator. With ENABLE_METRICS=false there are none but the deliveries of alerts that are open already.
 * Everything that must survive is a row or a message; the loops only look for what is due, so any number of replicas may run.
 */
export async function startAggregator(deps: AggregatorDeps): Promise<Aggregator> {
  const { db, bus, config, log } = deps
  const failed = (operation: string) => (error: Error) =>
    log.event('database_error', { operation, code: codeOf(error), reason: error.message.slice(0, 2000) })

  const delivery = startDelivery({
    db,
    receivers: deps.receivers,
    allowPrivate: config.ALERT_ALLOW_PRIVATE_ADDRESSES,
    timeoutMs: config.ALERT_TIMEOUT_MS,
    everyMs: everySecond,
    ...logDelivery(log),
    onError: failed('deliver alerts'),
  })
  if (!config.ENABLE_METRICS) return delivery

  const samples: Samples = config.STORE_METRICS_IN_DB ? samplesInDatabase(db) : samplesInLiveStore(deps.live)
  const live = startLiveRefresh({ db, samples, live: deps.live, everyMs: liveEveryMs, onError: failed('live record') })
  for (const job of await listRunningJobs(db)) live.touch(job.id)
  const judge: JudgeDeps = {
    db,
    commit: deps.commit,
    samples,
    store: config.STORE_METRICS_IN_DB,
    graceSeconds: config.RECORD_GRACE_SECONDS,
    runbookBase: deps.runbookBase,
    onRecord: (record, complete) => {
      log.event(complete ? 'record_stored' : 'record_incomplete', record)
      delivery.wake()
    },
    onFailure: (failure, givenUp) => {
      deps.recordFailures.inc({ outcome: givenUp ? 'given_up' : 'retried' })
      if (givenUp) log.event('record_failed', failure)
    },
    retryPauseSeconds: recordRetryPauseSeconds,
  }
  const judging = startLoop(
    everySecond,
    async (signal) => {
      await judgeDueRuns(judge, signal)
      await renewStaleRecords(judge, signal)
    },
    failed('judge runs'),
  )
  const byClock = (signal: AbortSignal) => judgeByClock(db, deps.commit, { signal, runbookBase: deps.runbookBase })
  const clock = startLoop(everyMinute, byClock, failed('judge by the clock'))
  const upkeep = startLoop(everyHour, () => keepUp(deps), failed('retention'))
  const completed = keepCompletedJobs(completedJobsKept)
  const { wake } = judging
  const consumptions: (Consumption | BatchConsumption)[] = await Promise.all([
    bus.consumeBatches(
      {
        events: [events.metricsSampled],
        durable: 'metrics-aggregator-samples',
        fields: keptFields,
        keep: samples.keep,
        maxBatch: samplesAtOnce,
        batchesAtOnce: 2,
      },
      (kept, note) => handleSamples(kept, note, { samples, live, completed, wake }),
    ),
    bus.consume(
      { events: [events.jobCompleted], durable: 'metrics-aggregator-job-completed', concurrency: 4 },
      (message) => handleJobCompleted(message, { db, live, completed, wake }),
    ),
    bus.consume(
      { events: [events.jobRequested], durable: 'metrics-aggregator-job-requested', concurrency: 1 },
      (message) => handleJobRequested(message, { live }),
    ),
    bus.consume({ events: [events.jobFailed], durable: 'metrics-aggregator-job-failed', concurrency: 1 }, (message) =>
      handleJobFailed(message, { live }),
    ),
    bus.consume(
      { events: [events.jobCancelled], durable: 'metrics-aggregator-job-cancelled', concurrency: 1 },
      (message) => handleJobCancelled(message, { live }),
    ),
  ])
  return {
    async stop() {
      await Promise.all(consumptions.map((consumption) => consumption.stop()))
      await Promise.all([judging, clock, upkeep, delivery].map((loop) => loop.stop()))
      await live.stop()
    },
  }
}

/** What is done seldom: completions whose message was lost with its stream, and retention. */
async function keepUp({ db, log, config }: AggregatorDeps): Promise<void> {
  await addForgottenEvaluations(db, forgottenDays)
  const expired = await expireRunData(db, {
    days: config.METRICS_RETENTION_DAYS,
    runsPerWiki: config.METRICS_RETENTION_RUNS,
    judgedDays: forgottenDays + 1,
  })
  if (Object.values(expired).some((rows) => rows > 0)) log.event('records_expired', expired)
}

const codeOf = (error: Error): string => String((error as NodeJS.ErrnoException).code ?? error.name)
