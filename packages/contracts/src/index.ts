export {
  CloudEvent,
  type DataOf,
  type EnvelopeContext,
  type EventDeclaration,
  type OutgoingMessage,
  type StreamName,
  toCloudEvent,
  toMessage,
} from './envelope.ts'
export { type CommonEnvironment, commonEnvironment } from './environment.ts'
export { events, everySubject, jobSubjects } from './events.ts'
export { JobOptions, jobOptionDefaults } from './job-options.ts'
export { MetricSample } from './metric-sample.ts'
export { type Flow, pipeline } from './pipeline.ts'
export { type JobStatus, jobStatuses, type ServiceName, type Stage, services, stages } from './stages.ts'
