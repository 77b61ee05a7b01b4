export {
  alertMessage,
  baselineRuns,
  checkQualityThresholds,
  type Observation,
  type OpenAlert,
  observe,
  type PreviewedRun,
  previewRule,
  type QualityAlert,
  type Step,
  stepAlert,
} from './alert-evaluation.ts'
export {
  AlertRule,
  AlertRules,
  type AlertState,
  alertStates,
  checkRules,
  clockMetrics,
  defaultAlertRules,
  isClockMetric,
  qualityThresholds,
  type RuleError,
  type RuleMetric,
  type Severity,
  severities,
} from './alert-rules.ts'
export { asyncApiDocument } from './asyncapi.ts'
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
export { type CommonEnvironment, commonEnvironment, misconfiguredExitCode } from './environment.ts'
export { events, everySubject, jobSubjects } from './events.ts'
export * from './http/index.ts'
export { JobOptions, jobOptionDefaults } from './job-options.ts'
export {
  type LogContext,
  type LogEventName,
  type LogFields,
  type LogLevel,
  logEvents,
  logLineSchema,
} from './log-events.ts'
export { MetricSample, noControlCharacters } from './metric-sample.ts'
export { type Flow, pipeline } from './pipeline.ts'
export { type Distribution, type Histogram, metricValue, RunRecord, recordAsOf, type StageBreakdown } from './record.ts'
export {
  type BucketCounter,
  type CounterName,
  type GaugeName,
  measures,
  sampleKey,
  type ValuesName,
} from './record-measures.ts'
export {
  type MetricGroup,
  type MetricName,
  metricGroups,
  metricList,
  metricNamed,
  type NamedMetric,
  recordMetrics,
} from './record-metrics.ts'
export { type JobStatus, jobStatuses, type ServiceName, type Stage, services, stages } from './stages.ts'
export { tagForm, tagFormVersion } from './tag-form.ts'
