import { type Database, readJob, readRunEvaluation } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'
import { recordOf } from './job-record.ts'
import { isOfTheRun } from './judge-runs.ts'
import type { SamplesToRead } from './samples.ts'

/*
 * Keeps live records within a second of the work. A job that something happened to is touched; touched jobs' records are made again in rounds,
 * at most every `everyMs`, and where they are many or large so seldom that making them takes a fifth of the time. While a backlog of samples is
 * drained it is a twenty-fifth: what they tell of is long ago, and five seconds more of it lose nothing. A round is bounded, and who waits
 * longest comes first.
 * A job whose own figures stand in the way (see isOfTheRun) is let go until it is touched again: they will not be better. Any other failure is
 * the servers': it ends the round, the job stays touched, the next round comes later each time, and of a row of such failures one is told.
 */

export interface LiveRefresh {
  /** @param seen.backlog whether samples wait that were sent before now */
  touch(jobId: string, seen?: { readonly backlog: boolean }): void
  /** Makes what is touched, and waits for it. */
  stop(): Promise<void>
}

export interface LiveRefreshDeps {
  readonly db: Database
  readonly samples: SamplesToRead
  readonly live: LiveRecords
  readonly everyMs: number
  readonly onError: (error: Error) => void
}

/** Rest after a round, in lengths of the round */
const restFactor = { now: 4, backlog: 24 }
const roundMs = 200
const longestPauseMs = 5_000

export function startLiveRefresh(deps: LiveRefreshDeps): LiveRefresh {
  // In the order in which they were touched first since their record was made
  const touched = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let restUntil = 0
  let stopped = false
  let failures = 0
  let backlog = false

  const round = async (withinMs: number): Promise<void> => {
    const end = performance.now() + withinMs
    for (const jobId of [...touched]) {
      if (performance.now() > end) return
      touched.delete(jobId)
      try {
        await refresh(jobId, deps)
        failures = 0
      } catch (error) {
        const ofTheServers = !isOfTheRun(error)
        if (!ofTheServers || failures === 0) deps.onError(error as Error)
        if (!ofTheServers) continue
        failures++
        touched.add(jobId)
        return
      }
    }
  }
  const schedule = (): void => {
    if (timer || running || stopped) return
    timer = setTimeout(
      () => {
        timer = undefined
        const started = performance.now()
        running = round(roundMs).finally(() => {
          running = undefined
          restUntil = performance.now() + (performance.now() - started) * restFactor[backlog ? 'backlog' : 'now']
          if (touched.size > 0) schedule()
        })
      },
      Math.max(deps.everyMs, restUntil - performance.now(), pauseMs(failures)),
    )
  }
  return {
    touch(jobId, seen) {
      touched.add(jobId)
      if (seen) backlog = seen.backlog
      schedule()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
      await round(Number.POSITIVE_INFINITY)
    },
  }
}

const pauseMs = (failures: number): number => (failures === 0 ? 0 : Math.min(longestPauseMs, 250 * 2 ** (failures - 1)))

async function refresh(jobId: string, { db, samples, live }: LiveRefreshDeps): Promise<void> {
  const job = await readJob(db, jobId)
  if (!job) return
  const given = await samples.read(job.wikiId, jobId)
  const expected = job.status === 'completed' ? await readRunEvaluation(db, jobId) : undefined
  await live.put(recordOf(job, given, expected?.expectedSamples ?? null, new Date()))
}
