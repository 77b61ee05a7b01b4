export { type CopyValue, copyRows } from './copy.ts'
export { type Database, type DatabaseOptions, type Executor, openDatabase, type Transaction } from './database.ts'
export { DatabaseUnavailable, JobNotRunning } from './errors.ts'
export {
  cancelJob,
  completeJob,
  countJobPages,
  createJob,
  failJob,
  freezeJobPages,
  type Job,
  type NewJob,
  readJob,
  requeueJob,
  startNextJob,
} from './jobs.ts'
export {
  addOutbox,
  claimInbox,
  countOutbox,
  type OutboxRow,
  pruneInbox,
  type TakeOutbox,
  takeOutbox,
} from './messages.ts'
export {
  type Figures,
  type RunFigures,
  type RunTotals,
  type RunWindow,
  readClusterMetrics,
  readRecord,
  readRunTotals,
  readSamples,
  readSeries,
  saveRecord,
  saveSamples,
  setBaseline,
} from './metrics.ts'
export { migrate } from './migrate.ts'
export {
  type Batch,
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
