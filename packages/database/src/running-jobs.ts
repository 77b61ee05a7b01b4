import type { Stage } from '@tagloom/contracts'
import { eq, sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'
import type { Job } from './jobs.ts'
import { jobs } from './schema/jobs.ts'

export const listRunningJobs = (db: Executor): Promise<Job[]> =>
  db.orm.select().from(jobs).where(eq(jobs.status, 'running')).orderBy(jobs.id)

/** Wikis that have a queued job and no running one. */
export async function listWaitingWikis(db: Executor): Promise<number[]> {
  const { rows } = await db.orm.execute<{ wiki_id: number }>(sql`
    select distinct wiki_id from jobs q where status = 'queued'
      and not exists (select from jobs r where r.wiki_id = q.wiki_id and r.status = 'running')`)
  return rows.map((row) => row.wiki_id)
}

/** When anything of the job last moved. */
export async function readLastProgress(db: Executor, jobId: string): Promise<Date> {
  const { rows } = await db.orm.execute<{ ms: number }>(sql`
    select extract(epoch from greatest(
      (select max(progressed_at) from job_stages where job_id = ${jobId}),
      (select coalesce(started_at, created_at) from jobs where id = ${jobId})))::float8 * 1000 as ms`)
  return new Date(rows[0]?.ms ?? 0)
}

export interface Revivals {
  /** Of all names that begin with it; null when there was none */
  readonly last: Date | null
  readonly count: number
}

/** How often, and when last, the watchdog noted something whose name begins so: the same for every gateway. */
export async function readRevivals(db: Executor, consumer: string, begins: string): Promise<Revivals> {
  const { rows } = await db.orm.execute<{ ms: number | null; count: number }>(sql`
    select extract(epoch from max(handled_at))::float8 * 1000 as ms, count(*)::int as count
    from inbox where consumer = ${consumer} and starts_with(message_id, ${begins})`)
  const { ms = null, count = 0 } = rows[0] ?? {}
  return { last: ms === null ? null : new Date(ms), count }
}

/** Whether a step of this stage was finished lately, in whatever job: whoever works on it does its work. */
export async function hasStageMoved(db: Executor, stage: Stage, withinMs: number): Promise<boolean> {
  const { rows } = await db.orm.execute<{ moved: boolean }>(sql`
    select exists (select from job_stages where stage = ${stage} and done > 0
      and progressed_at > clock_timestamp() - ${withinMs} * interval '1 millisecond') as moved`)
  return rows[0]?.moved === true
}

export interface RunFigures {
  readonly embedded: number
  readonly clusters: number
  readonly layers: number
  readonly outliers: number
  readonly tags: number
}

/** Counts of a run so far: those of the layer that its record speaks of. */
export async function readRunFigures(db: Executor, jobId: string): Promise<RunFigures> {
  const { rows } = await db.orm.execute<RunFigures & Record<string, unknown>>(sql`
    select
      (select coalesce(sum((result ->> 'embedded')::int), 0)::int from job_batches where job_id = ${jobId} and stage = 'embed')
        as embedded,
      (select count(*) filter (where chosen)::int from clusters where job_id = ${jobId}) as clusters,
      (select count(distinct layer)::int from clusters where job_id = ${jobId}) as layers,
      (select count(*)::int from job_pages p where p.job_id = ${jobId} and not exists (
         select from cluster_members m join clusters c on c.job_id = m.job_id and c.no = m.cluster_no and c.chosen
         where m.job_id = ${jobId} and m.page_id = p.page_id)) as outliers,
      (select count(distinct tag_id)::int from cluster_tags where job_id = ${jobId}) as tags`)
  return rows[0]!
}

/**
 * Runs `work` while no other process runs work under the same key; the lock goes with its connection.
 * @returns false when another process has it: nothing was done
 */
export const withTryLock = (db: Database, key: number, work: () => Promise<void>): Promise<boolean> =>
  db.transaction(async (tx) => {
    const { rows } = await tx.orm.execute<{ held: boolean }>(
      sql`select pg_try_advisory_xact_lock(${key}::bigint) as held`,
    )
    if (!rows[0]?.held) return false
    await work()
    return true
  })
