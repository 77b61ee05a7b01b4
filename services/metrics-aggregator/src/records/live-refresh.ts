import { type Database, readJob, readRunEvaluation } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'
import { recordOf } from './job-record.ts'
import type { Samples } from './samples.ts'

/*
 * Keeps live records within a second of the work. A job that something happened to is touched; a touched job's record is made again, at most
 * every `everyMs`, and a large one so seldom that making it takes a fifth of the time. A failure leaves the job touched.
 */

export interface LiveRefresh {
  touch(jobId: string): void
  /** Makes what is touched, and waits for it. */
  stop(): Promise<void>
}

export interface LiveRefreshDeps {
  readonly db: Database
  readonly samples: Samples
  readonly live: LiveRecords
  readonly everyMs: number
  readonly onError: (error: Error) => void
}

const restFactor = 4

export function startLiveRefresh(deps: LiveRefreshDeps): LiveRefresh {
  const touched = new Set<string>()
  const notBefore = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let stopped = false

  const round = async (now: number, all: boolean): Promise<void> => {
    for (const jobId of [...touched]) {
      if (!all && (notBefore.get(jobId) ?? 0) > now) continue
      touched.delete(jobId)
      const started = performance.now()
      try {
        await refresh(jobId, deps)
      } catch (error) {
        touched.add(jobId)
        deps.onError(error as Error)
      }
      notBefore.set(jobId, Date.now() + Math.max(deps.everyMs, (performance.now() - started) * restFactor))
    }
    for (const [jobId, until] of notBefore) if (until < now && !touched.has(jobId)) notBefore.delete(jobId)
  }
  const schedule = (): void => {
    if (timer || stopped) return
    timer = setTimeout(() => {
      timer = undefined
      running = round(Date.now(), false).finally(() => {
        running = undefined
        if (touched.size > 0) schedule()
      })
    }, deps.everyMs)
  }
  return {
    touch(jobId) {
      touched.add(jobId)
      if (!running) schedule()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
      await round(Date.now(), true)
    },
  }
}

async function refresh(jobId: string, { db, samples, live }: LiveRefreshDeps): Promise<void> {
  const job = await readJob(db, jobId)
  if (!job) return
  const given = await samples.read(job.wikiId, jobId)
  const expected = job.status === 'completed' ? await readRunEvaluation(db, jobId) : undefined
  await live.put(recordOf(job, given, expected?.expectedSamples ?? null, new Date()))
}
