import type { SSEMessage } from '@fastify/sse'
import type { Bus, Followed } from '@tagloom/bus'
import {
  type CloudEvent,
  events,
  type Job,
  type JobProgress,
  type JobStreamEvent,
  jobSubjects,
  type RunRecord,
} from '@tagloom/contracts'
import { type Database, type JobView, readJobView } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'
import { toJob } from './to-job.ts'

/** The longest that the end of a job can go unseen when its message was lost */
const lookEveryMs = 2_000
/** How often the live record is looked at */
const metricsEveryMs = 500

interface Deps {
  readonly db: Database
  readonly bus: Pick<Bus, 'follow'>
  readonly live: Pick<LiveRecords, 'get'>
}

/**
 * What a client of one job sees: a snapshot, progress, the run record so far, the end. PostgreSQL says how the job is; the bus only says when to look,
 * so a lost message costs a moment and never the end.
 * @param after place in the event stream that the client has seen
 */
export async function* followJob(
  deps: Deps,
  job: JobView,
  after: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<SSEMessage> {
  const followed = deps.bus.follow({
    subjects: [jobSubjects(job.wikiId)],
    signal,
    ...(after === undefined ? {} : { fromSequence: after + 1 }),
  })
  // Begun before the snapshot is read, so that nothing falls between the two.
  let next = followed.next()
  next.catch(() => {})
  const snapshot = await readNow()
  yield message('snapshot', snapshot)
  if (hasEnded(snapshot)) return yield message('ended', snapshot)
  let sequence = after
  let lookAt = Date.now() + lookEveryMs
  const newRecord = recordsOf(deps.live, job)
  while (!signal.aborted) {
    const come = await within(next, metricsEveryMs, signal)
    const record = await newRecord()
    if (record) yield message('metrics', record)
    if (come && !come.done) {
      next = followed.next()
      next.catch(() => {})
      sequence = come.value.sequence
      const progress = toProgress(come.value, job.id)
      if (progress) yield message('progress', progress, sequence)
      if (!isEnd(come.value.envelope, job.id)) continue
    }
    if (!come && Date.now() < lookAt) continue
    lookAt = Date.now() + lookEveryMs
    const now = await readNow()
    if (!hasEnded(now)) continue
    yield message('ended', now, sequence)
    return
  }

  async function readNow(): Promise<Job> {
    return toJob((await readJobView(deps.db, job.id)) ?? job)
  }
}

/** Reads the live record now and then; @returns what gives it when it has more samples than last time */
function recordsOf(live: Deps['live'], job: JobView): () => Promise<RunRecord | undefined> {
  let lookAt = 0
  let samples = 0
  return async () => {
    if (Date.now() < lookAt) return undefined
    lookAt = Date.now() + metricsEveryMs
    // Live records are an extra: where they cannot be read, progress goes on without them.
    const record = await live.get(job.wikiId, job.id).catch(() => undefined)
    if (!record || record.samples.received === samples) return undefined
    samples = record.samples.received
    return record
  }
}

const hasEnded = (job: Job): boolean => job.status !== 'queued' && job.status !== 'running'

const message = (event: JobStreamEvent, data: Job | JobProgress | RunRecord, sequence?: number): SSEMessage => ({
  event,
  data,
  ...(sequence === undefined ? {} : { id: String(sequence) }),
})

function toProgress({ envelope }: Followed, jobId: string): JobProgress | undefined {
  if (envelope.type !== events.jobProgressed.type || !isOf(envelope, jobId)) return undefined
  const { stage, done, total, unit, seconds_left } = envelope.data as JobProgress
  return { stage, done, total, unit, ...(seconds_left === undefined ? {} : { seconds_left }) }
}

const ends = new Set<string>([events.jobCompleted.type, events.jobFailed.type, events.jobCancelled.type])
const isEnd = (envelope: CloudEvent, jobId: string): boolean => ends.has(envelope.type) && isOf(envelope, jobId)
const isOf = (envelope: CloudEvent, jobId: string): boolean => (envelope.data as { job_id?: string }).job_id === jobId

/** The value, or undefined when it does not come in time or the signal aborts. */
async function within<Value>(value: Promise<Value>, ms: number, signal: AbortSignal): Promise<Value | undefined> {
  let stop = () => {}
  const late = new Promise<undefined>((resolve) => {
    const end = () => resolve(undefined)
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
    stop = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  })
  try {
    return await Promise.race([value, late])
  } finally {
    stop()
  }
}
