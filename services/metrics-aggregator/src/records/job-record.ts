import type { MetricSample, RunRecord } from '@tagloom/contracts'
import type { Job } from '@tagloom/database'
import { foldRecord } from '../fold/fold-record.ts'

/** @param expectedSamples null until the job is completed */
export function recordOf(
  job: Job,
  samples: readonly MetricSample[],
  expectedSamples: number | null,
  now: Date,
): RunRecord {
  return foldRecord(
    {
      wikiId: job.wikiId,
      jobId: job.id,
      status: job.status,
      options: job.options,
      model: job.model,
      createdAt: job.createdAt,
      startedAt: job.startedAt,
      endedAt: job.endedAt,
      expectedSamples,
    },
    samples,
    now,
  )
}
