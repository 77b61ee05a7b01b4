import Type, { type Static } from 'typebox'
import { fractionalCounters } from './record-measures.ts'
import { services, stages } from './stages.ts'

/** Pattern of names that hold no control characters, so that one a line is safe. */
export const noControlCharacters = '^[^\\u0000-\\u001f]+$'

const Counters = Type.Unsafe<Record<string, number>>(
  Type.Object(
    Object.fromEntries(fractionalCounters.map((name) => [name, Type.Optional(Type.Number({ minimum: 0 }))])),
    {
      additionalProperties: Type.Integer({ minimum: 0 }),
      description: 'Counts are whole; only money has a fraction',
    },
  ),
)

/**
 * What one batch of one stage measured. Keyed by (job, stage, batch): a second delivery replaces and never adds.
 * Counters are added over a job's samples, gauges hold a stage-wide figure, values are raw observations (for percentiles).
 */
export const MetricSample = Type.Object({
  wiki_id: Type.Integer({ minimum: 1 }),
  job_id: Type.String({ minLength: 1 }),
  stage: Type.Enum([...stages]),
  batch: Type.String({
    pattern: noControlCharacters,
    description: "'plan', a batch number, or the name of a step; no control characters",
  }),
  service: Type.Enum([...services]),
  version: Type.Optional(Type.String({ maxLength: 100, description: 'Of the code of that service' })),
  started_at: Type.String({ format: 'date-time' }),
  ended_at: Type.String({ format: 'date-time' }),
  duration_seconds: Type.Number({ minimum: 0 }),
  counters: Counters,
  gauges: Type.Record(Type.String(), Type.Number()),
  values: Type.Optional(Type.Record(Type.String(), Type.Array(Type.Number(), { maxItems: 10_000 }))),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
export type MetricSample = Static<typeof MetricSample>
