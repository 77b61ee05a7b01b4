import { type Job, type Stage, type StageProgress, stages } from '@tagloom/contracts'
import type { JobView } from '@tagloom/database'

/** A job as clients see it: all four stages, those that have not begun as pending. */
export function toJob(row: JobView): Job {
  return {
    id: row.id,
    wiki_id: row.wikiId,
    status: row.status,
    options: row.options,
    attempt: row.attempt,
    stages: stages.map((stage) => toStage(row, stage)),
    failure: row.errorCode === null ? null : { code: row.errorCode, reason: row.errorReason ?? '' },
    requested_by: row.requestedByName,
    created_at: row.createdAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
  }
}

function toStage(job: JobView, stage: Stage): StageProgress {
  const row = job.stages.find((each) => each.stage === stage)
  return {
    stage,
    status: !row ? 'pending' : row.endedAt ? 'completed' : 'running',
    done: row?.done ?? 0,
    total: row?.total ?? 0,
    unit: 'batches',
    started_at: row?.startedAt.toISOString() ?? null,
    ended_at: row?.endedAt?.toISOString() ?? null,
  }
}
