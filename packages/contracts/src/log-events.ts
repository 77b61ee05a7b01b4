import Type, { type Static, type TProperties } from 'typebox'
import { services, stages } from './stages.ts'

/**
 * Every named log event, declared once. docs/logging.md is generated from it, `log.event(name, fields)` is typed by it,
 * and the tests check what a real job logs against it. No field ever holds page text, a key or a secret.
 * Long, since it is the one list that is read and searched as a whole; six groups of declarations, in the order of a job.
 */

export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL'

/** Which context a line of the event carries; ids come from the fields or from the logger's own bindings. */
export type LogScope = 'job' | 'wiki' | 'request' | 'service'

interface LogEventDeclaration {
  readonly level: LogLevel
  readonly scope: LogScope
  readonly description: string
  readonly fields: TProperties
}

const id = Type.String({ minLength: 1, maxLength: 200 })
const count = Type.Integer({ minimum: 0 })
const seconds = Type.Number({ minimum: 0 })
const ms = Type.Number({ minimum: 0 })
const stage = Type.Enum([...stages])
const code = Type.String({ maxLength: 100, description: 'Stable code of the error' })
const reason = Type.String({ maxLength: 2000, description: 'For a person; without page text' })
const metricValue = Type.Union([Type.Number(), Type.Null()])
const severity = Type.Enum(['info', 'warning', 'critical'])

/** Ids that join the lines of one job, request or trace over all services. */
export const logContext = {
  wiki_id: Type.Integer({ minimum: 1 }),
  job_id: id,
  request_id: Type.String({ maxLength: 200, description: 'Of the HTTP request that began it' }),
  trace_id: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'W3C trace id' }),
}
export type LogContext = Partial<Static<ReturnType<typeof Type.Object<typeof logContext>>>>

/** The ids that a line of each scope always has; request_id and trace_id are there whenever a request began it. */
export const scopeIds = {
  job: ['wiki_id', 'job_id'],
  wiki: ['wiki_id'],
  request: ['request_id'],
  service: [],
} as const satisfies Record<LogScope, readonly (keyof typeof logContext)[]>

const declare = <const D extends LogEventDeclaration>(declared: D) => declared

const lifecycle = {
  service_starting: declare({
    level: 'INFO',
    scope: 'service',
    description: 'A process of a service begins',
    fields: { version: Type.String(), pid: count },
  }),
  service_ready: declare({
    level: 'INFO',
    scope: 'service',
    description: 'It is connected, listens and takes work',
    fields: { address: Type.String(), startup_ms: ms },
  }),
  service_stopping: declare({
    level: 'INFO',
    scope: 'service',
    description: 'It takes no more work and finishes what is in hand',
    fields: { reason },
  }),
  service_stopped: declare({
    level: 'INFO',
    scope: 'service',
    description: 'It closed everything',
    fields: { stopped_in_ms: ms },
  }),
  service_failed: declare({
    level: 'CRITICAL',
    scope: 'service',
    description: 'It cannot start or go on and exits',
    fields: { code, reason },
  }),
  connection_lost: declare({
    level: 'WARNING',
    scope: 'service',
    description: 'A server is gone; the service tries to reach it again',
    fields: { server: Type.Enum(['postgres', 'nats', 'redis']), reason },
  }),
  connection_restored: declare({
    level: 'INFO',
    scope: 'service',
    description: 'The server answers again',
    fields: { server: Type.Enum(['postgres', 'nats', 'redis']), away_ms: ms },
  }),
  event_loop_blocked: declare({
    level: 'WARNING',
    scope: 'service',
    description:
      'The event loop stood still for more than 100 ms. Where cpu_ms, the processor time of its thread in that second, is less, the machine was short of processors and the service held nothing',
    fields: { blocked_ms: ms, cpu_ms: ms },
  }),
  streams_reconciled: declare({
    level: 'INFO',
    scope: 'service',
    description: 'Streams and consumers were made as declared',
    fields: { created: count, updated: count },
  }),
}

const requests = {
  request_completed: declare({
    level: 'INFO',
    scope: 'request',
    description:
      'An HTTP request was answered: one that changes something, one with a client error, or a read that took a second or longer',
    fields: { method: Type.String(), route: Type.String(), status: Type.Integer(), duration_ms: ms },
  }),
  read_completed: declare({
    level: 'DEBUG',
    scope: 'request',
    description:
      'A read over HTTP was answered, well and within a second; `http_request_duration_seconds` counts these at any level',
    fields: { method: Type.String(), route: Type.String(), status: Type.Integer(), duration_ms: ms },
  }),
  request_failed: declare({
    level: 'ERROR',
    scope: 'request',
    description: 'An HTTP request ended with a server error',
    fields: { method: Type.String(), route: Type.String(), status: Type.Integer(), code, reason, duration_ms: ms },
  }),
  request_refused: declare({
    level: 'WARNING',
    scope: 'request',
    description: 'No key, a wrong key, a missing scope, or the rate limit',
    fields: { method: Type.String(), route: Type.String(), status: Type.Integer(), code },
  }),
  pages_imported: declare({
    level: 'INFO',
    scope: 'wiki',
    description: 'Pages were written to a wiki',
    fields: { created: count, updated: count, unchanged: count, rejected: count, duration_ms: ms },
  }),
}

const jobs = {
  job_requested: declare({
    level: 'INFO',
    scope: 'job',
    description: 'A job was accepted',
    fields: { pages: count, requested_by: Type.Optional(Type.String({ maxLength: 200 })) },
  }),
  job_started: declare({
    level: 'INFO',
    scope: 'job',
    description: 'The first stage took it up',
    fields: { pages: count, attempt: count },
  }),
  job_completed: declare({
    level: 'INFO',
    scope: 'job',
    description: "The run is done and, unless it is a dry run, the wiki's current one",
    fields: { duration_seconds: seconds, pages_processed: count, pages_tagged: count, tags_applied: count },
  }),
  job_failed: declare({
    level: 'CRITICAL',
    scope: 'job',
    description: 'The pipeline of this job aborts; the job can be retried',
    fields: { stage: Type.Optional(stage), code, reason, attempt: count },
  }),
  job_cancelled: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'Somebody cancelled it',
    fields: { reason },
  }),
  job_retried: declare({
    level: 'INFO',
    scope: 'job',
    description: 'A failed or cancelled job goes on where it was',
    fields: { attempt: count, stage: Type.Optional(stage) },
  }),
  job_recovered: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'The watchdog sent again what a job was owed',
    fields: { stage: Type.Optional(stage), messages: count, idle_seconds: seconds },
  }),
  stage_started: declare({
    level: 'INFO',
    scope: 'job',
    description: 'A stage was planned',
    fields: { stage, batches: count },
  }),
  stage_completed: declare({
    level: 'INFO',
    scope: 'job',
    description: 'Its last batch is done',
    fields: { stage, batches: count, duration_seconds: seconds },
  }),
  batch_completed: declare({
    level: 'DEBUG',
    scope: 'job',
    description: 'One batch was stored',
    fields: { stage, batch: Type.String(), duration_seconds: seconds, done: count, total: count },
  }),
  batch_failed: declare({
    level: 'ERROR',
    scope: 'job',
    description: 'One try of a batch failed; it is delivered again as long as tries are left',
    fields: { stage, batch: Type.String(), code, reason, delivery: count },
  }),
}

const work = {
  model_download: declare({
    level: 'INFO',
    scope: 'service',
    description: 'A model is being downloaded: one line for each tenth',
    fields: { model: Type.String(), file: Type.String(), bytes: count, total_bytes: count },
  }),
  model_loaded: declare({
    level: 'INFO',
    scope: 'service',
    description: 'The embedding model is ready',
    fields: { model: Type.String(), dims: count, max_tokens: count, device: Type.Enum(['cpu', 'cuda']) },
  }),
  device_fallback: declare({
    level: 'WARNING',
    scope: 'service',
    description: 'The device that was asked for cannot be had; another is used',
    fields: { device: Type.Enum(['cpu', 'cuda']), reason },
  }),
  pooling_assumed: declare({
    level: 'WARNING',
    scope: 'service',
    description:
      'The files of the embedding model do not say how token vectors become one (no modules.json, no 1_Pooling): their mean is taken',
    fields: { model: Type.String() },
  }),
  products_exact: declare({
    level: 'WARNING',
    scope: 'service',
    description:
      'Products of the 8-bit model would clip on this processor, which has no VNNI: they are made exactly, which takes longer',
    fields: { model: Type.String(), clipped_cosine: Type.Number() },
  }),
  embedding_completed: declare({
    level: 'INFO',
    scope: 'job',
    description: 'Every page of the job has its vector',
    fields: { pages: count, embedded: count, reused: count, model: Type.String() },
  }),
  clustering_started: declare({
    level: 'INFO',
    scope: 'job',
    description: 'The clusterer has the vectors in memory',
    fields: { pages: count, dims: count, min_cluster_size: count },
  }),
  cluster_created: declare({
    level: 'DEBUG',
    scope: 'job',
    description: 'A cluster of the chosen layer is stored',
    fields: { cluster_id: Type.Integer(), layer: count, pages: count },
  }),
  clustering_completed: declare({
    level: 'INFO',
    scope: 'job',
    description: 'All layers are stored',
    fields: {
      clusters: count,
      layers: count,
      outliers: count,
      silhouette_score: metricValue,
      silhouette_cosine: metricValue,
      duration_seconds: seconds,
    },
  }),
  pages_assigned: declare({
    level: 'INFO',
    scope: 'wiki',
    description: 'The pages of an assignment were given to the topics of the current run',
    fields: { assignment_id: id, assigned: count, left_out: count, drift: metricValue, rerun_due: Type.Boolean() },
  }),
  assignment_recovered: declare({
    level: 'WARNING',
    scope: 'wiki',
    description: 'The watchdog sent the message of an assignment again',
    fields: { assignment_id: id },
  }),
  assignment_failed: declare({
    level: 'ERROR',
    scope: 'wiki',
    description: 'Pages cannot be given to topics without a run',
    fields: { assignment_id: id, reason },
  }),
  tags_generated: declare({
    level: 'INFO',
    scope: 'job',
    description: 'The clusters of a batch, or of the job, have labels',
    fields: { clusters: count, tags: count, method: Type.String({ maxLength: 100 }), duration_seconds: seconds },
  }),
  labeller_called: declare({
    level: 'DEBUG',
    scope: 'job',
    description: 'One call of the labeller ended, whatever stands behind it and however it ended',
    fields: { clusters: count, latency_ms: ms },
  }),
  llm_timeout: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'A call of the labeller was given up',
    fields: { cluster_id: Type.Integer(), attempt: count, timeout_ms: ms },
  }),
  llm_failure: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'A call of the labeller ended with an error',
    fields: { cluster_id: Type.Integer(), attempt: count, code, reason },
  }),
  parsing_error: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'An answer of the labeller could not be read as labels',
    fields: { cluster_id: Type.Integer(), attempt: count, reason },
  }),
  llm_budget_spent: declare({
    level: 'WARNING',
    scope: 'job',
    description:
      'The budget of the job is used up, or is one of money while LLM_PRICES has no price of the model; it goes on with keyphrases',
    fields: { tokens: count, cost_usd: Type.Number({ minimum: 0 }), reason: Type.Enum(['used up', 'no price']) },
  }),
  llm_replies_forgotten: declare({
    level: 'INFO',
    scope: 'service',
    description: 'Replies that nobody asked for again for LLM_REPLIES_RETENTION_DAYS were removed',
    fields: { replies: count, days: count },
  }),
  tags_propagated: declare({
    level: 'INFO',
    scope: 'job',
    description: 'Every page has its tags',
    fields: { pages: count, pages_tagged: count, tags_applied: count, conflicts: count },
  }),
  propagation_failed: declare({
    level: 'ERROR',
    scope: 'job',
    description: 'A batch of page tags could not be written',
    fields: { batch: Type.String(), code, reason },
  }),
  database_error: declare({
    level: 'ERROR',
    scope: 'service',
    description: 'A transaction failed; it is tried again as far as that can help',
    fields: { operation: Type.String({ maxLength: 200 }), code, reason },
  }),
}

const delivery = {
  message_retried: declare({
    level: 'WARNING',
    scope: 'service',
    description: 'A handler asked for the message again, or failed and gets it again',
    fields: { subject: Type.String(), message_id: Type.String(), delivery: count, delay_ms: ms, reason },
  }),
  message_dead: declare({
    level: 'ERROR',
    scope: 'service',
    description: 'A message could not be handled and lies in TAGLOOM_DEAD with its reason',
    fields: { subject: Type.String(), message_id: Type.String(), deliveries: count, code, reason },
  }),
  consumer_recovering: declare({
    level: 'WARNING',
    scope: 'service',
    description: 'A consumer could not pull; it makes its stream and itself again and goes on',
    fields: { consumer: Type.String(), reason },
  }),
  message_redriven: declare({
    level: 'INFO',
    scope: 'service',
    description: 'A dead message was published again',
    fields: { subject: Type.String(), message_id: Type.String() },
  }),
  outbox_relayed: declare({
    level: 'INFO',
    scope: 'service',
    description: 'The relay published what a process left owing',
    fields: { messages: count, oldest_seconds: seconds },
  }),
  outbox_failed: declare({
    level: 'ERROR',
    scope: 'service',
    description: 'The relay could not publish; the rows stay owed',
    fields: { messages: count, reason },
  }),
}

const records = {
  record_stored: declare({
    level: 'INFO',
    scope: 'job',
    description: 'The run record of a completed job is in the database',
    fields: { samples: count, expected: count },
  }),
  record_incomplete: declare({
    level: 'WARNING',
    scope: 'job',
    description: 'A job is completed but samples are missing; the record is made again when they come',
    fields: { samples: count, expected: count },
  }),
  record_failed: declare({
    level: 'ERROR',
    scope: 'job',
    description: 'The record of a completed job could not be made or stored, and is given up; the runs after it go on',
    fields: { tries: count, reason },
  }),
  records_expired: declare({
    level: 'INFO',
    scope: 'service',
    description: 'Retention removed old samples, records, marks of judged runs, or alerts',
    fields: { samples: count, records: count, evaluations: count, alerts: count },
  }),
  quality_alert: declare({
    level: 'WARNING',
    scope: 'wiki',
    description: 'A rule fires: a threshold is crossed',
    fields: {
      alert_id: Type.Integer(),
      rule: Type.String(),
      severity,
      metric: Type.String(),
      value: metricValue,
      threshold: Type.Number(),
      message: Type.String({ maxLength: 2000 }),
      action: Type.String({ maxLength: 2000 }),
      runbook: Type.Optional(Type.String({ maxLength: 2000, description: 'Address of what to do' })),
    },
  }),
  quality_alert_acknowledged: declare({
    level: 'INFO',
    scope: 'wiki',
    description: 'Somebody has it in hand',
    fields: { alert_id: Type.Integer(), rule: Type.String(), severity, metric: Type.String(), value: metricValue },
  }),
  quality_alert_resolved: declare({
    level: 'INFO',
    scope: 'wiki',
    description: 'What a rule fired for is over',
    fields: { alert_id: Type.Integer(), rule: Type.String(), severity, metric: Type.String(), value: metricValue },
  }),
  alert_delivered: declare({
    level: 'INFO',
    scope: 'wiki',
    description: 'A receiver took an alert',
    fields: {
      alert_id: Type.Integer(),
      receiver: Type.String(),
      transition: Type.String(),
      attempts: count,
      lag_seconds: seconds,
    },
  }),
  alert_delivery_failed: declare({
    level: 'WARNING',
    scope: 'wiki',
    description: 'One try failed; the next follows with backoff',
    fields: { alert_id: Type.Integer(), receiver: Type.String(), transition: Type.String(), attempts: count, reason },
  }),
  alert_delivery_abandoned: declare({
    level: 'ERROR',
    scope: 'wiki',
    description: 'A receiver did not take an alert in all its tries',
    fields: { alert_id: Type.Integer(), receiver: Type.String(), transition: Type.String(), attempts: count, reason },
  }),
}

export const logEvents = { ...lifecycle, ...requests, ...jobs, ...work, ...delivery, ...records } as const
export type LogEventName = keyof typeof logEvents

/** What `log.event(name, fields)` takes: the fields of the event, and any of the ids. */
export type LogFields<Name extends LogEventName> = Static<
  ReturnType<typeof Type.Object<(typeof logEvents)[Name]['fields']>>
> &
  LogContext

/** Schema of one JSON line of an event as it is written, whatever else pino adds. */
export function logLineSchema(name: LogEventName) {
  const declared: LogEventDeclaration = logEvents[name]
  const ids: readonly (keyof typeof logContext)[] = scopeIds[declared.scope]
  const context = Object.fromEntries(
    Object.entries(logContext).map(([key, schema]) => [
      key,
      ids.includes(key as keyof typeof logContext) ? schema : Type.Optional(schema),
    ]),
  )
  return Type.Object({
    time: Type.String({ description: 'ISO 8601, UTC, milliseconds' }),
    level: Type.String({ description: `${declared.level}` }),
    service: Type.Enum([...services]),
    event: Type.Literal(name),
    ...context,
    ...declared.fields,
  })
}
