import Type, { type Static } from 'typebox'
import { services, stages } from './stages.ts'

/**
 * What one batch of one stage measured. Keyed by (job, stage, batch): a second delivery overwrites and never adds.
 * Counters are added over a job's samples, gauges hold a stage-wide figure, values are raw observations (for percentiles).
 */
export const MetricSample = Type.Object({
  wiki_id: Type.Integer({ minimum: 1 }),
  job_id: Type.String({ minLength: 1 }),
  stage: Type.Enum([...stages]),
  batch: Type.String({ minLength: 1, description: "'plan', a batch number, or the name of a step" }),
  service: Type.Enum([...services]),
  started_at: Type.String({ format: 'date-time' }),
  ended_at: Type.String({ format: 'date-time' }),
  duration_seconds: Type.Number({ minimum: 0 }),
  counters: Type.Record(Type.String(), Type.Number()),
  gauges: Type.Record(Type.String(), Type.Number()),
  values: Type.Optional(Type.Record(Type.String(), Type.Array(Type.Number(), { maxItems: 10_000 }))),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
export type MetricSample = Static<typeof MetricSample>
