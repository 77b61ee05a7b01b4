import Type, { type Static } from 'typebox'
import { JobOptions } from '../job-options.ts'
import { jobStatuses, stages } from '../stages.ts'
import { listOf, listQuery } from './paging.ts'

export const NewJob = Type.Union([JobOptions, Type.Null()], {
  title: 'NewJob',
  description: 'Options of the job; `{}` or no body for the defaults',
})

export const NewJobHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'A repeat with the same key and body answers with the same job',
    }),
  ),
})

const stageStatuses = ['pending', 'running', 'completed'] as const

export const StageProgress = Type.Object(
  {
    stage: Type.Enum([...stages]),
    status: Type.Enum([...stageStatuses]),
    done: Type.Integer({ minimum: 0 }),
    total: Type.Integer({ minimum: 0 }),
    unit: Type.String({ description: 'What is counted: batches, unless an event says otherwise' }),
    started_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    ended_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  },
  { title: 'StageProgress' },
)
export type StageProgress = Static<typeof StageProgress>

export const Job = Type.Object(
  {
    id: Type.String(),
    wiki_id: Type.Integer(),
    status: Type.Enum([...jobStatuses]),
    options: JobOptions,
    attempt: Type.Integer({ description: '1, and one more for each retry' }),
    stages: Type.Array(StageProgress, { description: 'All four, in their order' }),
    failure: Type.Union([Type.Object({ code: Type.String(), reason: Type.String() }), Type.Null()], {
      description: 'Why it failed or was cancelled',
    }),
    requested_by: Type.Union([Type.String(), Type.Null()], { description: 'Name of the API key' }),
    created_at: Type.String({ format: 'date-time' }),
    started_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    ended_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  },
  { title: 'Job' },
)
export type Job = Static<typeof Job>

export const JobListQuery = listQuery({
  wiki_id: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
  status: Type.Optional(Type.Enum([...jobStatuses])),
})
export const JobList = listOf(Job, 'JobList')

export const CancelJob = Type.Union(
  [
    Type.Object({ reason: Type.Optional(Type.String({ maxLength: 1000 })) }, { additionalProperties: false }),
    Type.Null(),
  ],
  { title: 'CancelJob' },
)

/**
 * Names of the server-sent events of a job. The first is always `snapshot` (a Job); `progress` carries a JobProgress, `metrics` the run record so far;
 * the last is `ended` (a Job), after which the server closes the stream. Comments (`: heartbeat`) keep it open between.
 */
const jobStreamEvents = ['snapshot', 'progress', 'metrics', 'ended'] as const
export type JobStreamEvent = (typeof jobStreamEvents)[number]

export const JobProgress = Type.Object(
  {
    stage: Type.Enum([...stages]),
    done: Type.Integer({ minimum: 0 }),
    total: Type.Integer({ minimum: 0 }),
    unit: Type.String(),
    seconds_left: Type.Optional(
      Type.Number({ description: 'What the stage may still take, where the worker can tell' }),
    ),
  },
  { title: 'JobProgress' },
)
export type JobProgress = Static<typeof JobProgress>
