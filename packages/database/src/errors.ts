import pg from 'pg'

/** The server does not answer: worth another try later. */
export class DatabaseUnavailable extends Error {
  readonly code = 'database_unavailable'
  override readonly name = 'DatabaseUnavailable'
}

/** The job is no longer running (cancelled, failed, gone), so nothing of it may be written. */
export class JobNotRunning extends Error {
  readonly code = 'job_not_running'
  override readonly name = 'JobNotRunning'
  readonly jobId: string
  readonly status: string
  constructor(jobId: string, status: string) {
    super(`job ${jobId} is ${status}, expected it running: its work is dropped`)
    this.jobId = jobId
    this.status = status
  }
}

/** A tag cannot stand for the one that it was to be merged into; the message says why, and what to do. */
export class MergeRefused extends Error {
  readonly code = 'merge_refused'
  override readonly name = 'MergeRefused'
}

/** serialization_failure, deadlock_detected: the transaction lost against another and may do better at once */
const conflictCodes = new Set(['40001', '40P01'])

/** Whether another transaction was in the way, so that the same work may succeed when it is done again. */
export const isConflict = (error: unknown): boolean =>
  someCause(error, (at) => conflictCodes.has((at as { code?: string }).code ?? ''))

/** Whether the server refused a statement or broke off a transaction. */
export const isDatabaseError = (error: unknown): boolean => someCause(error, (at) => at instanceof pg.DatabaseError)

/** 22 data exception, 23 integrity constraint, 54 program limit exceeded: such values are never taken, however often they are sent */
const refusedValues = /^(22|23|54)/

/** Whether the server refused the values themselves, which says nothing about other rows. */
export const isRefused = (error: unknown): boolean =>
  someCause(error, (at) => at instanceof pg.DatabaseError && refusedValues.test(at.code ?? ''))

function someCause(error: unknown, is: (at: Error) => boolean): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) if (is(at)) return true
  return false
}
