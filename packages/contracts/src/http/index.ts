export {
  Alert,
  AlertDetails,
  AlertList,
  AlertListQuery,
  AlertParams,
  AlertRulesOfWiki,
  NewAlertRules,
  NewRulePreview,
  NewSilence,
  RulePreview,
  Silence,
  SilenceList,
  SilenceParams,
} from './alerts.ts'
export {
  ApiKey,
  ApiKeyList,
  ApiKeyListQuery,
  CreatedApiKey,
  isReservedKeyName,
  minApiKeyLength,
  NewApiKey,
  ownKeyName,
  type Scope,
  scopes,
} from './api-keys.ts'
export { Assignment, assignmentLimits, Drift, NewAssignment } from './assignments.ts'
export { ClusterMetrics } from './cluster-metrics.ts'
export { Cluster, ClusterList, ClusterListQuery } from './clusters.ts'
export {
  CancelJob,
  Job,
  JobList,
  JobListQuery,
  JobProgress,
  type JobStreamEvent,
  NewJob,
  NewJobHeaders,
  StageProgress,
} from './jobs.ts'
export {
  type ImportError,
  type ImportErrorCode,
  ImportQuery,
  ImportReport,
  Page,
  PageInput,
  PageList,
  PageListQuery,
  PageSummary,
  PageTag,
  pageLimits,
} from './pages.ts'
export { type List, listOf, listQuery, maxPageSize } from './paging.ts'
export {
  ApiKeyParams,
  AssignmentParams,
  DecisionParams,
  JobParams,
  PageParams,
  TagParams,
  WikiParams,
} from './parameters.ts'
export { Problem, type ProblemCode, problemCodes, problemType } from './problem.ts'
export {
  Baseline,
  CompareParams,
  Comparison,
  defaultTrendWindow,
  JobMetrics,
  maxTrendWindow,
  Run,
  RunList,
  RunListQuery,
  TrendQuery,
  Trends,
  type Verdict,
} from './runs.ts'
export {
  Decision,
  type DecisionKind,
  DecisionList,
  DecisionListQuery,
  decidedByImport,
  decidedByTagloom,
  NewDecision,
  Tag,
  TagList,
  TagListQuery,
} from './tags.ts'
export { NewWiki, Wiki, WikiList, WikiListQuery } from './wikis.ts'
