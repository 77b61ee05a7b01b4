import type { LogFields, RunRecord } from '@tagloom/contracts'
import {
  type Database,
  type DueRun,
  finishRunEvaluation,
  isRefused,
  type Job,
  lockWikiAlerts,
  noteRunFailure,
  type RunEvaluation,
  readDueRuns,
  readJob,
  saveRecord,
  type Transaction,
  takeStaleRun,
} from '@tagloom/database'
import { plainError, type Relay, traceIdOf } from '@tagloom/service-kit'
import { judgeRecord } from '../alerts/judge-record.ts'
import { recordOf } from './job-record.ts'
import type { SamplesToRead } from './samples.ts'

/*
 * From completed jobs to records and alerts. One transaction holds the record, every step of an alert, what receivers are owed, and the mark
 * that the run is judged: killed anywhere, it is done again from the start or not at all. Runs of a wiki are judged one at a time,
 * in the order of their completion.
 * A run whose own figures stand in the way (see isOfTheRun) is tried `mostTries` times and then given up; it holds up its wiki for that
 * long, and other wikis never. Any other error is the server's: it ends the round, and costs no run a try.
 */

export interface JudgeDeps {
  readonly db: Database
  readonly commit: Relay['commit']
  readonly samples: SamplesToRead
  /** STORE_METRICS_IN_DB */
  readonly store: boolean
  /** How long a run waits for samples that are on their way */
  readonly graceSeconds: number
  /** See withRunbookAt */
  readonly runbookBase?: string
  readonly onRecord: (record: LogFields<'record_stored'>, complete: boolean) => void
  /** @param givenUp whether this was the last try */
  readonly onFailure: (failure: LogFields<'record_failed'>, givenUp: boolean) => void
  /** Before the second try; doubled before the third */
  readonly retryPauseSeconds: number
}

const mostTries = 3

const runsAtOnce = 1000

/** Judges every run that can be, or gives it up. @returns how many */
export async function judgeDueRuns(deps: JudgeDeps, signal?: AbortSignal): Promise<number> {
  let judged = 0
  for (;;) {
    const due = await readDueRuns(deps.db, deps.graceSeconds, runsAtOnce)
    let progress = 0
    for (const run of due) {
      if (signal?.aborted) return judged
      if (await judgeOrNote(run, deps)) progress++
    }
    judged += progress
    if (progress === 0) return judged
  }
}

/** @returns whether the run is done with: judged, or given up */
async function judgeOrNote(run: DueRun, deps: JudgeDeps): Promise<boolean> {
  try {
    return await judgeRun(run, deps)
  } catch (error) {
    return await noteFailure(run.jobId, error, deps)
  }
}

async function judgeRun(run: DueRun, deps: JudgeDeps): Promise<boolean> {
  if (!run.overdue && (await samplesOf(run, deps)) < run.expectedSamples) return false
  const job = await readJob(deps.db, run.jobId)
  if (!job) return false
  const outcome = await deps.commit(async (tx, owe) => {
    await lockWikiAlerts(tx, run.wikiId)
    // Marked before its samples are read: whoever stores one from now on waits, sees the mark, and makes the record stale.
    if (!(await finishRunEvaluation(tx, run.jobId))) return undefined
    const samples = await deps.samples.read(run.wikiId, run.jobId)
    const record = recordOf(job, samples, run.expectedSamples, run.completedAt)
    if (deps.store) await saveRecord(tx, record)
    if (!job.dryRun) await judgeRecord(tx, owe, record, job, deps.runbookBase)
    return { record, complete: samples.length >= run.expectedSamples }
  })
  if (!outcome) return false
  deps.onRecord(factsOf(outcome.record, job), outcome.complete)
  return true
}

const samplesOf = async (run: DueRun, { store, samples }: JudgeDeps): Promise<number> =>
  store ? run.samples : (await samples.read(run.wikiId, run.jobId)).length

/** Makes the records again that got samples after they were made. Alerts are not judged twice. @returns how many */
export async function renewStaleRecords(deps: JudgeDeps, signal?: AbortSignal): Promise<number> {
  let renewed = 0
  while (!signal?.aborted) {
    let jobId: string | undefined
    try {
      const made = await deps.db.transaction(async (tx) => {
        const stale = await takeStaleRun(tx)
        jobId = stale?.jobId
        return stale && (await renewOne(tx, stale, deps))
      })
      if (!made) break
      renewed++
      const { record, job } = made
      deps.onRecord(factsOf(record, job), record.samples.received >= (record.samples.expected ?? 0))
    } catch (error) {
      if (jobId === undefined) throw error
      await noteFailure(jobId, error, deps)
    }
  }
  return renewed
}

type Made = { readonly record: RunRecord; readonly job: Job }

async function renewOne(tx: Transaction, stale: RunEvaluation, deps: JudgeDeps): Promise<Made | undefined> {
  const job = await readJob(tx, stale.jobId)
  if (!job) return undefined
  const samples = await deps.samples.read(stale.wikiId, stale.jobId)
  const record = recordOf(job, samples, stale.expectedSamples, stale.completedAt)
  await saveRecord(tx, record)
  return { record, job }
}

/** Whether the figures of this run are what failed: values that a column refuses, or that cannot be folded. */
export const isOfTheRun = (error: unknown): boolean =>
  isRefused(error) || error instanceof TypeError || error instanceof RangeError

/** @returns whether the run is given up @throws the error, where it is not the run's own */
async function noteFailure(jobId: string, error: unknown, deps: JudgeDeps): Promise<boolean> {
  if (!isOfTheRun(error)) throw error
  const reason = plainError(error).message.slice(0, 2000)
  const noted = await noteRunFailure(deps.db, jobId, { reason, mostTries, pauseSeconds: deps.retryPauseSeconds })
  if (!noted) return false
  const job = await readJob(deps.db, jobId)
  if (job) deps.onFailure({ ...idsOf(job), tries: noted.tries, reason }, noted.givenUp)
  return noted.givenUp
}

const idsOf = (job: Job) => ({
  wiki_id: job.wikiId,
  job_id: job.id,
  ...(job.requestId ? { request_id: job.requestId } : {}),
  ...traceOf(job),
})

const factsOf = (record: RunRecord, job: Job): LogFields<'record_stored'> => ({
  ...idsOf(job),
  samples: record.samples.received,
  expected: record.samples.expected ?? 0,
})

const traceOf = (job: Job): { trace_id?: string } => {
  const trace_id = traceIdOf(job.traceparent ?? undefined)
  return trace_id ? { trace_id } : {}
}
