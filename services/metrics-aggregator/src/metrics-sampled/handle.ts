import type { BatchNote } from '@tagloom/bus'
import type { CompletedJobs } from '../records/completed-jobs.ts'
import type { LiveRefresh } from '../records/live-refresh.ts'
import type { Samples } from '../records/samples.ts'

export interface MetricsSampledDeps {
  readonly samples: Samples
  readonly live: LiveRefresh
  readonly completed: CompletedJobs
  /** Looks at once for runs to judge and records to renew */
  readonly wake: () => void
}

/** Samples that wait behind a batch while more are read than come */
const backlogOf = 1_000

/**
 * Stores what batches measured, many at once. A second delivery changes nothing: of the samples of one (job, stage, batch) one counts,
 * and of two that differ the later one, whichever comes first.
 */
export async function handleSamples(
  kept: readonly unknown[],
  { waiting }: BatchNote,
  { samples, live, completed, wake }: MetricsSampledDeps,
): Promise<void> {
  await samples.save(kept)
  for (const jobId of new Set(kept.map(samples.jobOf))) {
    live.touch(jobId, { backlog: waiting > backlogOf })
    if (completed.has(jobId)) wake()
  }
}
