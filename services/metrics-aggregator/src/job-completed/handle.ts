import type { Message } from '@tagloom/bus'
import type { events } from '@tagloom/contracts'
import { addRunEvaluation, type Database, readJob } from '@tagloom/database'
import type { CompletedJobs } from '../records/completed-jobs.ts'
import type { LiveRefresh } from '../records/live-refresh.ts'

export interface JobCompletedDeps {
  readonly db: Database
  readonly live: LiveRefresh
  readonly completed: CompletedJobs
  /** Looks for runs to judge at once */
  readonly wake: () => void
}

/**
 * Writes down that a run is to be recorded and judged; the work itself is done from that row, by any replica. A second delivery finds
 * the row and changes nothing.
 */
export async function handleJobCompleted(
  message: Message<typeof events.jobCompleted>,
  deps: JobCompletedDeps,
): Promise<void> {
  const { job_id: jobId, wiki_id: wikiId, samples: expectedSamples } = message.data
  const job = await readJob(deps.db, jobId)
  if (!job) return
  await addRunEvaluation(deps.db, {
    jobId,
    wikiId,
    completedAt: job.endedAt ?? new Date(message.envelope.time),
    expectedSamples,
  })
  deps.live.touch(jobId)
  deps.completed.add(jobId)
  deps.wake()
}
