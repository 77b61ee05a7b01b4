import { and, desc, eq, getTableColumns, inArray, type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import type { Job } from './jobs.ts'
import { jobStages, jobs } from './schema/jobs.ts'
import { apiKeys } from './schema/wikis.ts'
import type { StageRow } from './stages.ts'

export interface JobView extends Job {
  /** Name of the API key that asked for it */
  readonly requestedByName: string | null
  /** Those that began */
  readonly stages: readonly StageRow[]
}

export async function readJobView(db: Executor, jobId: string): Promise<JobView | undefined> {
  const rows = await select(db, eq(jobs.id, jobId), 1)
  return rows[0]
}

/** The job that a wiki's idempotency key made. */
export async function findJobByIdempotencyKey(db: Executor, wikiId: number, key: string): Promise<Job | undefined> {
  const rows = await db.orm
    .select()
    .from(jobs)
    .where(and(eq(jobs.wikiId, wikiId), eq(jobs.idempotencyKey, key)))
  return rows[0]
}

export interface ListJobs {
  readonly limit: number
  /** Only jobs older than this one */
  readonly before?: { readonly createdAt: Date; readonly id: string } | undefined
  readonly wikiId?: number | undefined
  readonly status?: Job['status'] | undefined
  /** Only jobs of these wikis; undefined: all */
  readonly wikiIds?: readonly number[] | undefined
}

/** Newest first. */
export const listJobs = (db: Executor, list: ListJobs): Promise<JobView[]> =>
  select(
    db,
    and(
      list.before &&
        sql`(${jobs.createdAt}, ${jobs.id}) < (${list.before.createdAt.toISOString()}::timestamptz, ${list.before.id})`,
      list.wikiId === undefined ? undefined : eq(jobs.wikiId, list.wikiId),
      list.status && eq(jobs.status, list.status),
      list.wikiIds && sql`${jobs.wikiId} = any(${sql.param(list.wikiIds)}::int[])`,
    ),
    list.limit,
  )

async function select(db: Executor, where: SQL | undefined, limit: number): Promise<JobView[]> {
  const rows = await db.orm
    .select({ ...getTableColumns(jobs), requestedByName: apiKeys.name })
    .from(jobs)
    .leftJoin(apiKeys, eq(apiKeys.id, jobs.requestedBy))
    .where(where)
    .orderBy(desc(jobs.createdAt), desc(jobs.id))
    .limit(limit)
  if (rows.length === 0) return []
  const stages = await db.orm
    .select()
    .from(jobStages)
    .where(
      inArray(
        jobStages.jobId,
        rows.map((row) => row.id),
      ),
    )
  const byJob = Map.groupBy(stages, (row) => row.jobId)
  return rows.map((row) => ({ ...row, stages: byJob.get(row.id) ?? [] }))
}
