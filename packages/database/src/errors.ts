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
