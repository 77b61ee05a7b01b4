export {
  type AlertEvent,
  type ClaimedDelivery,
  claimDeliveries,
  type DeliveryLag,
  type DeliveryRow,
  expandDeliveries,
  giveUpDeliveriesExcept,
  listAlertsHeldBy,
  type ReceiverFilter,
  readDeliveries,
  readDeliveryLag,
  recordTry,
} from './alert-deliveries.ts'
export {
  type AlertRow,
  acknowledgeAlert,
  addSilence,
  applyStep,
  closeAlert,
  countAlerts,
  endSilence,
  holdOpenAlerts,
  isSilenced,
  listAlerts,
  lockWikiAlerts,
  openAlertOf,
  type RulesOfWiki,
  readAlert,
  readAlertRules,
  readOpenAlerts,
  readSilences,
  readTransitions,
  readWikiAges,
  type SilenceRow,
  saveAlertRules,
  type TransitionRow,
  type WikiAge,
  wakeSilencedAlerts,
} from './alerts.ts'
export {
  type ApiKeyRow,
  createApiKey,
  ensureApiKey,
  findApiKey,
  listApiKeys,
  revokeApiKey,
} from './api-keys.ts'
export {
  type AssignedPageRow,
  type AssignmentRow,
  type AssignmentTally,
  type AwaitedAssignment,
  createAssignment,
  endAssignment,
  listAssignmentPagesToEmbed,
  listAwaitedAssignments,
  type PageAssignment,
  type PageToAssign,
  readAssignedPages,
  readAssignment,
  readPagesToAssign,
  saveAssignedPages,
  tallyAssignments,
  tallyCurrentRuns,
} from './assignments.ts'
export { type ClusterRow, listClusters } from './cluster-reading.ts'
export {
  type ClusterToStore,
  type FoundLayerToStore,
  type JobVectors,
  listUnchangedPageIds,
  type MemberToStore,
  readClusteringFigures,
  readFoundLayers,
  readJobVectors,
  readMembers,
  readStoredClusters,
  type StoredCluster,
  type StoredFoundLayer,
  storeClustering,
} from './clusterings.ts'
export { type CopyValue, copyRows } from './copy.ts'
export { type Database, type DatabaseOptions, type Executor, openDatabase, type Transaction } from './database.ts'
export {
  addPageTag,
  type DecisionRow,
  findPageId,
  findPageIds,
  findTagId,
  listDecisions,
  lockPage,
  readExternalId,
  rejectPageTag,
  revokeDecision,
} from './decisions.ts'
export {
  listPagesWithoutEmbedding,
  type PageEmbedding,
  type PageToEmbed,
  type PageToPlan,
  readPagesToEmbed,
  saveEmbeddings,
} from './embeddings.ts'
export { DatabaseUnavailable, isConflict, isDatabaseError, isRefused, JobNotRunning, MergeRefused } from './errors.ts'
export { ensureTags } from './imported-tags.ts'
export { findJobByIdempotencyKey, type JobView, listJobs, readJobView } from './job-reading.ts'
export {
  cancelJob,
  completeJob,
  countJobPages,
  createJob,
  failJob,
  freezeJobPages,
  type Job,
  type JobOrigin,
  type NewJob,
  readJob,
  readJobOrigins,
  requeueJob,
  startNextJob,
} from './jobs.ts'
export {
  type ClusterPage,
  type ClusterTagRow,
  type Membership,
  type PageInClusters,
  readClusterPages,
  readClusterTags,
  readForClusters,
  readLayers,
  readMemberships,
  readPagesInClusters,
  saveClusterTags,
  saveForClusters,
} from './labelling.ts'
export {
  beginLlmCall,
  endLlmCall,
  extendLlmSlot,
  freeLlmSlot,
  type LlmCall,
  type LlmCallEnd,
  type LlmSpending,
  pruneLlmReplies,
  readLlmCalls,
  readLlmReply,
  readLlmSpending,
  takeLlmSlot,
} from './llm.ts'
export {
  addOutbox,
  claimInbox,
  countOutbox,
  isInInbox,
  type OutboxRow,
  pruneInbox,
  type TakeOutbox,
  takeOutbox,
} from './messages.ts'
export { readSamples, type SampleToStore, sampleToStore, storeSamples } from './metric-samples.ts'
export {
  type Figures,
  type RunWindow,
  readClusterMetrics,
  readLastRuns,
  readRecord,
  readSeries,
  readSeriesBefore,
  type SeriesRun,
  saveRecord,
} from './metrics.ts'
export { migrate } from './migrate.ts'
export { type PageToStore, type StoredPages, storePages } from './page-import.ts'
export { openPageMirror, type PageMirror } from './page-mirror.ts'
export { deletePage, listPages, type PageRow, type PageTagRow, readPage } from './page-reading.ts'
export {
  countJobBatches,
  listJobPageIds,
  type PageDecisions,
  type PageTagToStore,
  readPageDecisions,
  readPageVectors,
  readReliability,
  readVectorSample,
  savePageTags,
} from './page-tagging.ts'
export {
  addForgottenEvaluations,
  addRunEvaluation,
  type DueRun,
  finishRunEvaluation,
  noteRunFailure,
  type RunEvaluation,
  readDueRuns,
  readRunEvaluation,
  takeStaleRun,
} from './run-evaluations.ts'
export { type ComparedTag, compareTags, type ListRuns, listRuns, type RunPosition, type RunRow } from './run-listing.ts'
export { type Expired, expireRunData, type Retention } from './run-retention.ts'
export {
  countNewest,
  daysBefore,
  newestOf,
  type RecentRuns,
  type RunRollup,
  type RunTotals,
  readRunRollup,
  readRunTotals,
  setBaseline,
} from './run-rollup.ts'
export {
  hasStageMoved,
  listRunningJobs,
  listWaitingWikis,
  type RunFigures,
  readLastProgress,
  readRevivals,
  readRunFigures,
  withTryLock,
} from './running-jobs.ts'
export {
  type Batch,
  closeStage,
  finishBatch,
  finishStep,
  holdRunningJob,
  openStage,
  type Progress,
  planStage,
  readBatch,
  readOpenBatches,
  readStages,
  type StageRow,
  sumBatchResults,
} from './stages.ts'
export { approveLabel, approveTag, joinTags, mergeTag, rejectTag } from './tag-decisions.ts'
export { standingParents } from './tag-parents.ts'
export { listTags, type TagRow } from './tag-reading.ts'
export {
  createTags,
  freezeJobVocabulary,
  holdVocabulary,
  readJobVocabulary,
  readVocabulary,
  type StoredTag,
  saveTagEmbeddings,
  saveTagParents,
  type TagToCreate,
} from './vocabulary.ts'
export { countPages, createWiki, listWikis, readWiki, type WikiRow } from './wikis.ts'
