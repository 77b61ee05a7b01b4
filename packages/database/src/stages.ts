import type { Stage } from '@tagloom/contracts'
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Executor, Transaction } from './database.ts'
import { JobNotRunning } from './errors.ts'
import { jobBatches, jobStages, jobs } from './schema/jobs.ts'

/*
 * Fan-out and fan-in of every stage. Planning writes the stage and its batches; finishing a batch counts it in the transaction that
 * holds its results; whoever finishes the last one sends the next event in that transaction.
 * States of a batch: open (done_at null) → done. States of a stage: absent → open (ended_at null) → ended.
 */

export interface Progress {
  readonly done: number
  readonly total: number
}

/**
 * Holds the job's row against a cancel until the transaction ends, and refuses work for a job that isn't running.
 * @throws JobNotRunning
 */
export async function holdRunningJob(tx: Transaction, jobId: string): Promise<void> {
  const rows = await tx.orm.select({ status: jobs.status }).from(jobs).where(eq(jobs.id, jobId)).for('share')
  const status = rows[0]?.status ?? 'gone'
  if (status !== 'running') throw new JobNotRunning(jobId, status)
}

export interface StagePlan {
  /** Steps of the stage that are no batch */
  readonly extraSteps?: number
  /** How long planning has taken so far: it belongs to the stage */
  readonly planningMs?: number
}

/** Plans a stage. A stage that is planned already keeps its batches: planning twice changes nothing. */
export async function planStage(
  tx: Transaction,
  jobId: string,
  stage: Stage,
  payloads: readonly unknown[],
  { extraSteps = 0, planningMs = 0 }: StagePlan = {},
): Promise<{ planned: boolean }> {
  await holdRunningJob(tx, jobId)
  const total = payloads.length + extraSteps
  const startedAt = sql`clock_timestamp() - ${planningMs} * interval '1 millisecond'` as never
  const endedAt = sql`clock_timestamp()` as never
  const rows = await tx.orm
    .insert(jobStages)
    .values({ jobId, stage, total, startedAt, ...(total === 0 ? { endedAt } : {}) })
    .onConflictDoNothing()
    .returning({ stage: jobStages.stage })
  if (rows.length === 0) return { planned: false }
  await copyRows(
    tx,
    'job_batches',
    ['job_id', 'stage', 'no', 'payload'],
    payloads.map((payload, no) => [jobId, stage, no, JSON.stringify(payload)]),
  )
  return { planned: true }
}

/** Opens a stage that is one piece of work, so that its beginning is known while it runs. */
export async function openStage(db: Executor, jobId: string, stage: Stage, total = 1): Promise<void> {
  await db.orm.insert(jobStages).values({ jobId, stage, total }).onConflictDoNothing()
}

export interface Batch {
  readonly payload: unknown
  readonly done: boolean
}

export async function readBatch(db: Executor, jobId: string, stage: Stage, no: number): Promise<Batch | undefined> {
  const rows = await db.orm
    .select({ payload: jobBatches.payload, doneAt: jobBatches.doneAt })
    .from(jobBatches)
    .where(and(eq(jobBatches.jobId, jobId), eq(jobBatches.stage, stage), eq(jobBatches.no, no)))
  const row = rows[0]
  return row && { payload: row.payload, done: row.doneAt !== null }
}

/**
 * Marks a batch done and counts it. `undefined` when it was done already: the caller's results must not be written then.
 * @throws JobNotRunning
 */
export async function finishBatch(
  tx: Transaction,
  jobId: string,
  stage: Stage,
  no: number,
  result: Record<string, number>,
): Promise<Progress | undefined> {
  await holdRunningJob(tx, jobId)
  const rows = await tx.orm
    .update(jobBatches)
    .set({ doneAt: sql`now()`, result })
    .where(
      and(eq(jobBatches.jobId, jobId), eq(jobBatches.stage, stage), eq(jobBatches.no, no), isNull(jobBatches.doneAt)),
    )
    .returning({ no: jobBatches.no })
  return rows.length === 0 ? undefined : finishStep(tx, jobId, stage)
}

/** Counts a step of a stage that is no batch; the caller's inbox row guards against counting twice. */
export async function finishStep(tx: Transaction, jobId: string, stage: Stage): Promise<Progress> {
  await holdRunningJob(tx, jobId)
  const rows = await tx.orm
    .update(jobStages)
    .set({
      done: sql`${jobStages.done} + 1`,
      progressedAt: sql`now()`,
      endedAt: sql`case when ${jobStages.done} + 1 >= ${jobStages.total} then clock_timestamp() end`,
    })
    .where(and(eq(jobStages.jobId, jobId), eq(jobStages.stage, stage)))
    .returning({ done: jobStages.done, total: jobStages.total })
  const row = rows[0]
  if (!row) throw new Error(`job ${jobId} has no stage ${stage}: plan it before finishing its batches`)
  return row
}

/**
 * Stamps the end of a stage once more, after the rows of its last step are written, so that the stage's time holds theirs too.
 * @returns seconds from its start to now
 */
export async function closeStage(tx: Transaction, jobId: string, stage: Stage): Promise<number> {
  const { rows } = await tx.orm.execute<{ seconds: number }>(sql`
    update job_stages set ended_at = clock_timestamp() where job_id = ${jobId} and stage = ${stage}
    returning greatest(0, extract(epoch from ended_at - started_at))::float8 as seconds`)
  return rows[0]?.seconds ?? 0
}

export interface StageRow extends Progress {
  readonly stage: Stage
  readonly startedAt: Date
  readonly progressedAt: Date
  readonly endedAt: Date | null
}

export async function readStages(db: Executor, jobId: string): Promise<StageRow[]> {
  const rows = await db.orm.select().from(jobStages).where(eq(jobStages.jobId, jobId)).orderBy(asc(jobStages.startedAt))
  return rows.map(({ jobId: _, ...row }) => row)
}

/** Numbers of the batches that are still to do. */
export async function readOpenBatches(db: Executor, jobId: string, stage: Stage): Promise<number[]> {
  const rows = await db.orm
    .select({ no: jobBatches.no })
    .from(jobBatches)
    .where(and(eq(jobBatches.jobId, jobId), eq(jobBatches.stage, stage), isNull(jobBatches.doneAt)))
    .orderBy(asc(jobBatches.no))
  return rows.map((row) => row.no)
}

/** Sums of what the batches of a stage counted. */
export async function sumBatchResults(db: Executor, jobId: string, stage: Stage): Promise<Record<string, number>> {
  const rows = await db.orm
    .select({ result: jobBatches.result })
    .from(jobBatches)
    .where(and(eq(jobBatches.jobId, jobId), eq(jobBatches.stage, stage)))
  const sums: Record<string, number> = {}
  for (const { result } of rows)
    for (const [name, value] of Object.entries(result ?? {})) sums[name] = (sums[name] ?? 0) + value
  return sums
}
