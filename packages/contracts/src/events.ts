import Type, { type Static, type TObject, type TProperties } from 'typebox'
import type { EventDeclaration, StreamName } from './envelope.ts'
import { JobOptions } from './job-options.ts'
import { MetricSample } from './metric-sample.ts'
import { stages } from './stages.ts'

const root = 'tagloom.v1'

interface Declared<Name extends string, Properties extends TProperties> {
  readonly name: Name
  readonly description: string
  readonly properties: Properties
  readonly stream?: StreamName
  /** What makes one message of this event differ from another of the same job */
  readonly key: (data: Static<TObject<Properties>> & { wiki_id: number }) => string
  /** Further subject tokens after the name */
  readonly suffix?: (data: Static<TObject<Properties>>) => string
}

const wiki = { wiki_id: Type.Integer({ minimum: 1 }) }
const assignment = { ...wiki, assignment_id: Type.String({ minLength: 1, maxLength: 200 }) }
const job = { ...wiki, job_id: Type.String({ minLength: 1, maxLength: 200 }) }

function declare<const Name extends string, Properties extends TProperties>(
  of: Declared<Name, Properties>,
): EventDeclaration<Name, TObject<Properties>> {
  const suffix = of.suffix
  return {
    name: of.name,
    type: `io.tagloom.${of.name}.v1`,
    stream: of.stream ?? 'events',
    description: of.description,
    schema: Type.Object(of.properties),
    filter: `${root}.*.${of.name}${suffix ? '.*' : ''}`,
    subject: (data) => `${root}.${(data as { wiki_id: number }).wiki_id}.${of.name}${suffix ? `.${suffix(data)}` : ''}`,
    dedupeKey: (data) => of.key(data as never),
  }
}

const batch = (stage: string, what: string) =>
  declare({
    name: `${stage}.batch`,
    stream: 'work',
    description: `One batch of ${what} to do`,
    properties: { ...job, batch: Type.Integer({ minimum: 0 }) },
    key: (d) => `${d.job_id}.${stage}.${d.batch}`,
  })

/** Every message that Tagloom sends. A subject string anywhere else is a defect. */
export const events = {
  jobRequested: declare({
    name: 'job.requested',
    description: 'A job was accepted and starts',
    properties: { ...job, options: JobOptions },
    key: (d) => `${d.job_id}.requested`,
  }),
  jobProgressed: declare({
    name: 'job.progressed',
    description: 'A stage of a job began, came a batch further or ended',
    properties: {
      ...job,
      stage: Type.Enum([...stages]),
      done: Type.Integer({ minimum: 0 }),
      total: Type.Integer({ minimum: 0 }),
      unit: Type.String({ description: 'What is counted: pages, clusters, steps' }),
      seconds_left: Type.Optional(
        Type.Number({ minimum: 0, description: 'What the stage may still take, where the worker can tell' }),
      ),
    },
    key: (d) => `${d.job_id}.progressed.${d.stage}.${d.done}.${d.total}`,
  }),
  jobCancelled: declare({
    name: 'job.cancelled',
    description: 'Somebody cancelled the job: workers drop what they have in hand',
    properties: { ...job, reason: Type.String() },
    key: (d) => `${d.job_id}.cancelled`,
  }),
  jobFailed: declare({
    name: 'job.failed',
    description: 'The job cannot go on; a retry resumes it',
    properties: {
      ...job,
      attempt: Type.Integer({ minimum: 1 }),
      stage: Type.Optional(Type.String()),
      code: Type.String(),
      reason: Type.String(),
    },
    key: (d) => `${d.job_id}.failed.${d.attempt}`,
  }),
  jobCompleted: declare({
    name: 'job.completed',
    description: 'The job is done and its run is the current one of its wiki',
    properties: {
      ...job,
      pages_processed: Type.Integer({ minimum: 0 }),
      pages_tagged: Type.Integer({ minimum: 0 }),
      tags_applied: Type.Integer({ minimum: 0 }),
      samples: Type.Integer({ minimum: 0, description: 'How many metric samples the record of this job is made of' }),
    },
    key: (d) => `${d.job_id}.completed`,
  }),
  embedBatch: batch('embed', 'pages to embed'),
  labelBatch: batch('label', 'clusters to label'),
  propagateBatch: batch('propagate', 'pages to tag'),
  pagesEmbedded: declare({
    name: 'pages.embedded',
    description: 'Every page of the job has its vector',
    properties: {
      ...job,
      pages: Type.Integer({ minimum: 0 }),
      embedded: Type.Integer({ minimum: 0 }),
      model: Type.String(),
    },
    key: (d) => `${d.job_id}.pages-embedded`,
  }),
  clustersFormed: declare({
    name: 'clusters.formed',
    description: 'The clusters of the job, in all layers, are stored',
    properties: {
      ...job,
      clusters: Type.Integer({ minimum: 0 }),
      layers: Type.Integer({ minimum: 0 }),
      outliers: Type.Integer({ minimum: 0 }),
    },
    key: (d) => `${d.job_id}.clusters-formed`,
  }),
  labelsProposed: declare({
    name: 'labels.proposed',
    description: 'Every cluster has proposed labels; they are next matched with the vocabulary and each other',
    properties: { ...job, clusters: Type.Integer({ minimum: 0 }) },
    key: (d) => `${d.job_id}.labels-proposed`,
  }),
  clustersTagged: declare({
    name: 'clusters.tagged',
    description: 'Every cluster has its tags',
    properties: { ...job, clusters: Type.Integer({ minimum: 0 }), tags: Type.Integer({ minimum: 0 }) },
    key: (d) => `${d.job_id}.clusters-tagged`,
  }),
  tagsPropagated: declare({
    name: 'tags.propagated',
    description: 'Every page has its tags',
    properties: { ...job, pages_tagged: Type.Integer({ minimum: 0 }), tags_applied: Type.Integer({ minimum: 0 }) },
    key: (d) => `${d.job_id}.tags-propagated`,
  }),
  assignmentRequested: declare({
    name: 'assignment.requested',
    description: 'Pages are to be given to the topics of the current run, without a new one',
    properties: assignment,
    key: (d) => `${d.assignment_id}.requested`,
  }),
  assignmentEmbedded: declare({
    name: 'assignment.embedded',
    description: 'Every page of the assignment has its vector',
    properties: assignment,
    key: (d) => `${d.assignment_id}.embedded`,
  }),
  pagesAssigned: declare({
    name: 'pages.assigned',
    description: 'The pages of an assignment have their topics, or are known to fit none',
    properties: {
      ...assignment,
      job_id: Type.String({ description: 'The run whose topics they were given to' }),
      assigned: Type.Integer({ minimum: 0 }),
      left_out: Type.Integer({ minimum: 0 }),
      drift: Type.Union([Type.Number(), Type.Null()]),
      rerun_due: Type.Boolean(),
    },
    key: (d) => `${d.assignment_id}.assigned`,
  }),
  vocabularyChanged: declare({
    name: 'vocabulary.changed',
    description: "The wiki's tags or people's decisions on them changed: caches of them are stale",
    properties: { ...wiki, revision: Type.String({ description: 'Differs for each change' }), reason: Type.String() },
    key: (d) => `${d.wiki_id}.vocabulary.${d.revision}`,
  }),
  metricsSampled: declare({
    name: 'metrics.sampled',
    description: 'What one batch of one stage measured; a second one with the same key replaces the first',
    properties: MetricSample.properties,
    key: (d) => `${d.job_id}.sample.${d.stage}.${d.batch}`,
  }),
  alertRaised: declare({
    name: 'alert.raised',
    description: 'A rule fires for a wiki',
    properties: {
      ...wiki,
      alert_id: Type.Integer(),
      rule: Type.String(),
      severity: Type.Enum(['info', 'warning', 'critical']),
      job_id: Type.Optional(Type.String()),
      metric: Type.String(),
      value: Type.Union([Type.Number(), Type.Null()]),
      threshold: Type.Number(),
      message: Type.String(),
      action: Type.String(),
      runbook: Type.Optional(Type.String()),
    },
    key: (d) => `alert.${d.alert_id}.raised`,
    suffix: (d) => d.severity,
  }),
  alertResolved: declare({
    name: 'alert.resolved',
    description: 'What a rule fired for is over',
    properties: {
      ...wiki,
      alert_id: Type.Integer(),
      rule: Type.String(),
      severity: Type.Enum(['info', 'warning', 'critical']),
      job_id: Type.Optional(Type.String()),
      metric: Type.String(),
      value: Type.Union([Type.Number(), Type.Null()]),
      message: Type.String(),
    },
    key: (d) => `alert.${d.alert_id}.resolved`,
    suffix: (d) => d.severity,
  }),
} as const

/** Subjects of everything that Tagloom publishes */
export const everySubject = `${root}.>`

/** Subjects of one wiki's job events, or of every wiki's */
export const jobSubjects = (wikiId?: number): string => `${root}.${wikiId ?? '*'}.job.*`
