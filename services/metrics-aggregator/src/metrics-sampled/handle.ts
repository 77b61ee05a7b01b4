import type { Message } from '@tagloom/bus'
import type { events, MetricSample } from '@tagloom/contracts'
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

/**
 * Stores what batches measured, many at once. A second delivery changes nothing: a sample is kept by (job, stage, batch),
 * and of two that differ the later one stays, whichever comes first.
 */
export async function handleSamples(
  messages: readonly Message<typeof events.metricsSampled>[],
  deps: MetricsSampledDeps,
): Promise<void> {
  const samples = messages.map((message) => message.data as MetricSample)
  await deps.samples.save(samples, { again: messages.some((message) => message.deliveryCount > 1) })
  for (const jobId of new Set(samples.map((sample) => sample.job_id))) {
    deps.live.touch(jobId)
    if (deps.completed.has(jobId)) deps.wake()
  }
}
