import { randomBytes } from 'node:crypto'
import { type JobOptions, type JobStatus, jobOptionDefaults } from '@tagloom/contracts'
import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { jobPages, jobStages, jobs } from './schema/jobs.ts'
import { pages, wikis } from './schema/wikis.ts'

/*
 * The life of a job:
 *   queued → running → completed
 *      ↓        ↓ ↘ failed ─┐
 *   cancelled ←─┘           │ retry
 *      └────────────────────┴──→ queued
 * One job of a wiki runs at a time. Only completing moves the wiki's pointer.
 */

export type Job = typeof jobs.$inferSelect

export interface NewJob {
  readonly wikiId: number
  readonly options: JobOptions
  readonly idempotencyKey?: string | undefined
  readonly requestHash?: string | undefined
  readonly requestedBy?: number | undefined
  readonly requestId?: string | undefined
  readonly traceparent?: string | undefined
}

/** @returns the new job, or undefined when the wiki has one with this idempotency key */
export async function createJob(tx: Transaction, job: NewJob): Promise<Job | undefined> {
  const id = `cluster_wiki_${job.wikiId}_${randomBytes(6).toString('hex')}`
  const options = { ...jobOptionDefaults, ...job.options }
  const rows = await tx.orm
    .insert(jobs)
    .values({ ...job, id, options, dryRun: options.dry_run, status: 'queued' })
    .onConflictDoNothing({ target: [jobs.wikiId, jobs.idempotencyKey] })
    .returning()
  return rows[0]
}

export async function readJob(db: Executor, jobId: string): Promise<Job | undefined> {
  const rows = await db.orm.select().from(jobs).where(eq(jobs.id, jobId))
  return rows[0]
}

/** The request that set off a job, which the news of its alerts carries on. */
export type JobOrigin = Pick<Job, 'requestId' | 'traceparent'>

export async function readJobOrigins(db: Executor, jobIds: readonly string[]): Promise<Map<string, JobOrigin>> {
  if (jobIds.length === 0) return new Map()
  const rows = await db.orm
    .select({ id: jobs.id, requestId: jobs.requestId, traceparent: jobs.traceparent })
    .from(jobs)
    .where(inArray(jobs.id, [...jobIds]))
  return new Map(rows.map(({ id, ...origin }) => [id, origin]))
}

/**
 * Makes the wiki's oldest queued job the running one, unless one runs already.
 * Who makes a job holds the wiki's key by its foreign key: the weaker lock lets several of them come here, one after the other.
 * A queued job that is locked is being cancelled, and whoever cancels it comes here next: waiting for it would be a deadlock.
 */
export async function startNextJob(tx: Transaction, wikiId: number): Promise<Job | undefined> {
  const [wiki] = await tx.orm
    .select({ currentJobId: wikis.currentJobId })
    .from(wikis)
    .where(eq(wikis.id, wikiId))
    .for('no key update')
  if (!wiki) return undefined
  const of = (status: JobStatus) =>
    tx.orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(eq(jobs.wikiId, wikiId), eq(jobs.status, status)))
      .orderBy(asc(jobs.createdAt), asc(jobs.id))
      .limit(1)
  if ((await of('running')).length > 0) return undefined
  const [next] = await of('queued').for('no key update', { skipLocked: true })
  if (!next) return undefined
  const rows = await tx.orm
    .update(jobs)
    .set({
      status: 'running',
      startedAt: sql`coalesce(${jobs.startedAt}, clock_timestamp())`,
      previousJobId: sql`coalesce(${jobs.previousJobId}, ${wiki.currentJobId})`,
    })
    .where(eq(jobs.id, next.id))
    .returning()
  // What a retried job did before it failed says nothing of how long this attempt has stood still.
  await tx.orm.update(jobStages).set({ progressedAt: sql`clock_timestamp()` }).where(eq(jobStages.jobId, next.id))
  return rows[0]
}

/** Freezes the pages of a job as they are now. A second call changes nothing. */
export async function freezeJobPages(tx: Transaction, jobId: string, wikiId: number, model: string): Promise<number> {
  await tx.orm.update(jobs).set({ model }).where(eq(jobs.id, jobId))
  await tx.orm
    .insert(jobPages)
    .select(
      tx.orm
        .select({
          jobId: sql<string>`${jobId}`.as('job_id'),
          pageId: sql<number>`${pages.id}`.as('page_id'),
          contentHash: pages.contentHash,
        })
        .from(pages)
        .where(eq(pages.wikiId, wikiId)),
    )
    .onConflictDoNothing()
  return countJobPages(tx, jobId)
}

export async function countJobPages(db: Executor, jobId: string): Promise<number> {
  const rows = await db.orm
    .select({ count: sql<number>`count(*)::int` })
    .from(jobPages)
    .where(eq(jobPages.jobId, jobId))
  return rows[0]?.count ?? 0
}

/**
 * Completes a running job and, unless it is a dry run, points its wiki at it. An old job that was retried does not take the wiki back from
 * a newer one.
 * @returns false when the job isn't running: nothing was changed
 */
export async function completeJob(tx: Transaction, jobId: string, summary: Record<string, number>): Promise<boolean> {
  const job = await endJob(tx, jobId, 'completed', { summary, errorCode: null, errorReason: null })
  if (!job) return false
  if (!job.dryRun) {
    const newer = sql`(select c.created_at from jobs c where c.id = ${wikis.currentJobId}) > (select j.created_at from jobs j where j.id = ${jobId})`
    await tx.orm
      .update(wikis)
      .set({ currentJobId: jobId })
      .where(and(eq(wikis.id, job.wikiId), sql`${newer} is not true`))
  }
  return true
}

/** @returns the failed job, or undefined when it isn't running */
export const failJob = (tx: Transaction, jobId: string, code: string, reason: string): Promise<Job | undefined> =>
  endJob(tx, jobId, 'failed', { errorCode: code, errorReason: reason })

/** @returns the cancelled job, or undefined when it has ended */
export const cancelJob = (tx: Transaction, jobId: string, reason = 'cancelled'): Promise<Job | undefined> =>
  endJob(tx, jobId, 'cancelled', { errorCode: 'cancelled', errorReason: reason }, ['queued', 'running'])

async function endJob(
  tx: Transaction,
  jobId: string,
  status: JobStatus,
  more: Partial<Job>,
  from: JobStatus[] = ['running'],
): Promise<Job | undefined> {
  const rows = await tx.orm
    .update(jobs)
    .set({ ...more, status, endedAt: sql`clock_timestamp()` })
    .where(and(eq(jobs.id, jobId), inArray(jobs.status, from)))
    .returning()
  return rows[0]
}

/**
 * Puts a failed or cancelled job back in the queue; finished batches stay finished.
 * @returns undefined when the job is in another state
 */
export async function requeueJob(tx: Transaction, jobId: string): Promise<Job | undefined> {
  const rows = await tx.orm
    .update(jobs)
    .set({ status: 'queued', attempt: sql`${jobs.attempt} + 1`, endedAt: null, errorCode: null, errorReason: null })
    .where(and(eq(jobs.id, jobId), inArray(jobs.status, ['failed', 'cancelled'])))
    .returning()
  return rows[0]
}
