import type { LogFields, RunRecord } from '@tagloom/contracts'
import {
  type Database,
  type DueRun,
  finishRunEvaluation,
  type Job,
  lockWikiAlerts,
  readDueRuns,
  readJob,
  readRunEvaluation,
  saveRecord,
  type Transaction,
  takeStaleRun,
} from '@tagloom/database'
import { type Relay, traceIdOf } from '@tagloom/service-kit'
import { judgeRecord } from '../alerts/judge-record.ts'
import { recordOf } from './job-record.ts'
import type { Samples } from './samples.ts'

/*
 * From completed jobs to records and alerts. One transaction holds the record, every step of an alert, what receivers are owed, and the mark
 * that the run is judged: killed anywhere, it is done again from the start or not at all. Runs of a wiki are judged one at a time,
 * in the order of their completion.
 */

export interface JudgeDeps {
  readonly db: Database
  readonly commit: Relay['commit']
  readonly samples: Samples
  /** STORE_METRICS_IN_DB */
  readonly store: boolean
  /** How long a run waits for samples that are on their way */
  readonly graceSeconds: number
  readonly onRecord: (record: LogFields<'record_stored'>, complete: boolean) => void
}

const runsAtOnce = 1000

/** Judges every run that can be. @returns how many */
export async function judgeDueRuns(deps: JudgeDeps, signal?: AbortSignal): Promise<number> {
  let judged = 0
  for (;;) {
    const due = await readDueRuns(deps.db, deps.graceSeconds, runsAtOnce)
    let progress = 0
    for (const run of due) {
      if (signal?.aborted) return judged
      if (await judgeRun(run, deps)) progress++
    }
    judged += progress
    if (progress === 0) return judged
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
    if (!job.dryRun) await judgeRecord(tx, owe, record, job)
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
  for (let renewed = 0; ; renewed++) {
    if (signal?.aborted) return renewed
    const made = await deps.db.transaction((tx) => renewOne(tx, deps))
    if (!made) return renewed
    const { record, job } = made
    deps.onRecord(factsOf(record, job), record.samples.received >= (record.samples.expected ?? 0))
  }
}

async function renewOne(tx: Transaction, deps: JudgeDeps): Promise<{ record: RunRecord; job: Job } | undefined> {
  const stale = await takeStaleRun(tx)
  if (!stale) return undefined
  const job = await readJob(tx, stale.jobId)
  const run = await readRunEvaluation(tx, stale.jobId)
  if (!job || !run) return undefined
  const samples = await deps.samples.read(run.wikiId, run.jobId)
  const record = recordOf(job, samples, run.expectedSamples, run.completedAt)
  await saveRecord(tx, record)
  return { record, job }
}

const factsOf = (record: RunRecord, job: Job): LogFields<'record_stored'> => ({
  wiki_id: record.wiki_id,
  job_id: record.job_id,
  ...(job.requestId ? { request_id: job.requestId } : {}),
  ...traceOf(job),
  samples: record.samples.received,
  expected: record.samples.expected ?? 0,
})

const traceOf = (job: Job): { trace_id?: string } => {
  const trace_id = traceIdOf(job.traceparent ?? undefined)
  return trace_id ? { trace_id } : {}
}
