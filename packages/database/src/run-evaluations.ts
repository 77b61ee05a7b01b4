import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Database, Executor, Transaction } from './database.ts'
import { jobs } from './schema/jobs.ts'
import { runEvaluations } from './schema/metrics.ts'

/*
 * What the aggregator owes: a record and a judgement for each completed job. A row is written once, when the completion is known;
 * whoever finishes it marks it in the transaction that holds the alerts, so that a kill at any moment repeats or loses nothing.
 */

export interface RunEvaluation {
  readonly jobId: string
  readonly wikiId: number
  readonly completedAt: Date
  readonly expectedSamples: number
  readonly evaluatedAt: Date | null
}

type CompletedRun = Pick<RunEvaluation, 'jobId' | 'wikiId' | 'completedAt' | 'expectedSamples'>

/** Any constant that no other one-key advisory lock of ours uses */
const notingLock = 7_424_571

/**
 * Who stores samples asks first which of their runs are judged. None is noted, and so none can be judged, between that question and the end of
 * the transaction: the judgement would see neither the samples nor have been seen.
 */
export async function whileNoRunIsNoted(tx: Transaction): Promise<void> {
  await tx.orm.execute(sql`select pg_advisory_xact_lock_shared(${notingLock})`)
}

async function noteRuns(db: Database, runs: readonly CompletedRun[]): Promise<number> {
  return await db.transaction(async (tx) => {
    await tx.orm.execute(sql`select pg_advisory_xact_lock(${notingLock})`)
    const { rowCount } = await tx.orm
      .insert(runEvaluations)
      .values([...runs])
      .onConflictDoNothing()
    return rowCount ?? 0
  })
}

export async function addRunEvaluation(db: Database, run: CompletedRun): Promise<void> {
  await noteRuns(db, [run])
}

const forgottenAtOnce = 1_000

/** Completed jobs of the last days whose completion was never heard of: the message was lost with its stream. */
export async function addForgottenEvaluations(db: Database, days: number): Promise<number> {
  let noted = 0
  for (;;) {
    const { rows } = await db.orm.execute<{
      job_id: string
      wiki_id: number
      completed_at: string
      samples: number
    }>(sql`
      select j.id as job_id, j.wiki_id, j.ended_at as completed_at, ${samplesStoredOf(sql`j.id`)} as samples from ${jobs} j
      where j.status = 'completed' and j.ended_at between now() - ${days} * interval '1 day' and now() - interval '10 minutes'
        and not exists (select from run_evaluations e where e.job_id = j.id)
      limit ${forgottenAtOnce}`)
    if (rows.length === 0) return noted
    noted += await noteRuns(
      db,
      rows.map((row) => ({
        jobId: row.job_id,
        wikiId: row.wiki_id,
        completedAt: new Date(row.completed_at),
        expectedSamples: row.samples,
      })),
    )
  }
}

/** How many keys the samples of a job have: one that is stored twice counts once. */
const samplesStoredOf = (jobId: SQL): SQL => sql`(
  select count(distinct k.key)::int from metric_sample_batches b cross join lateral string_to_table(b.keys, E'\\n') k (key)
  where b.job_id = ${jobId})`

/** Of a wiki, among which completed ones may not be noted yet */
const latestJobs = 100

export interface DueRun extends RunEvaluation {
  /** How many of its samples are stored */
  readonly samples: number
  /** Whether the wait for the others is over */
  readonly overdue: boolean
}

/**
 * The oldest run of each wiki that is not judged yet. Runs of a wiki are judged in the order of their completion, so a run
 * whose samples are still on their way holds up those after it, for as long as the grace lasts; so does one that failed, until it is given up,
 * and one that completed but is not noted here yet: another replica may have its message in hand, or have died with it.
 */
export async function readDueRuns(db: Executor, graceSeconds: number, limit: number): Promise<DueRun[]> {
  const result = await db.orm.execute<{
    job_id: string
    wiki_id: number
    completed_at: string
    expected_samples: number
    samples: number
    overdue: boolean
  }>(sql`
    select e.job_id, e.wiki_id, e.completed_at, e.expected_samples, ${samplesStoredOf(sql`e.job_id`)} as samples,
      e.completed_at < now() - ${graceSeconds} * interval '1 second' as overdue
    from (
      select distinct on (wiki_id) * from run_evaluations where evaluated_at is null
      order by wiki_id, completed_at, job_id limit ${limit}
    ) e
    where (e.retry_at is null or e.retry_at <= now()) and not exists (
      select from (
        select id, status, ended_at from jobs where wiki_id = e.wiki_id order by created_at desc nulls first limit ${latestJobs}
      ) j
      where j.status = 'completed' and j.ended_at < e.completed_at and j.ended_at >= now() - ${graceSeconds} * interval '1 second'
        and not exists (select from run_evaluations r where r.job_id = j.id))`)
  return result.rows.map((row) => ({
    jobId: row.job_id,
    wikiId: row.wiki_id,
    completedAt: new Date(row.completed_at),
    expectedSamples: row.expected_samples,
    evaluatedAt: null,
    samples: row.samples,
    overdue: row.overdue,
  }))
}

export async function readRunEvaluation(db: Executor, jobId: string): Promise<RunEvaluation | undefined> {
  const rows = await db.orm.select().from(runEvaluations).where(eq(runEvaluations.jobId, jobId))
  return rows[0]
}

const noFailure = { failures: 0, retryAt: null, gaveUp: null }

/** Marks a run judged. @returns false when another did it already */
export async function finishRunEvaluation(tx: Transaction, jobId: string): Promise<boolean> {
  const rows = await tx.orm
    .update(runEvaluations)
    .set({ evaluatedAt: sql`now()` as never, ...noFailure })
    .where(and(eq(runEvaluations.jobId, jobId), sql`${runEvaluations.evaluatedAt} is null`))
    .returning({ jobId: runEvaluations.jobId })
  return rows.length > 0
}

/**
 * Takes the runs whose record is stale, one at a time within the caller's transaction.
 * @returns undefined when there is none that nobody else has in hand
 */
export async function takeStaleRun(tx: Transaction): Promise<RunEvaluation | undefined> {
  const [row] = await tx.orm
    .select()
    .from(runEvaluations)
    .where(
      and(
        eq(runEvaluations.stale, true),
        sql`(${runEvaluations.retryAt} is null or ${runEvaluations.retryAt} <= now())`,
      ),
    )
    .limit(1)
    .for('update', { skipLocked: true })
  if (row)
    await tx.orm
      .update(runEvaluations)
      .set({ stale: false, ...noFailure })
      .where(eq(runEvaluations.jobId, row.jobId))
  return row
}

export interface RunFailure {
  readonly reason: string
  /** Tries in a row, this one among them, after which the run is given up */
  readonly mostTries: number
  /** Before the second try; doubled before each later one */
  readonly pauseSeconds: number
}

/**
 * Notes that a run could not be judged, or its stale record not be made again. Given up, it counts as judged, with the reason beside it
 * and with the record that it had, if any.
 * @returns tries so far, and whether it is given up; undefined when another noted this try, or finished the run
 */
export async function noteRunFailure(
  db: Executor,
  jobId: string,
  { reason, mostTries, pauseSeconds }: RunFailure,
): Promise<{ readonly tries: number; readonly givenUp: boolean } | undefined> {
  const { rows } = await db.orm.execute<{ tries: number; given_up: boolean }>(sql`
    with failed as (
      select job_id, failures + 1 as tries, failures + 1 >= ${mostTries} as given_up from run_evaluations
      where job_id = ${jobId} and (evaluated_at is null or stale) and (retry_at is null or retry_at <= now()) for update)
    update run_evaluations e set
      failures = case when given_up then 0 else tries end,
      retry_at = case when given_up then null else now() + ${pauseSeconds} * interval '1 second' * power(2, tries - 1) end,
      gave_up = case when given_up then ${reason} end,
      evaluated_at = case when given_up then coalesce(evaluated_at, now()) else evaluated_at end,
      stale = stale and not given_up
    from failed where e.job_id = failed.job_id
    returning tries, given_up`)
  return rows[0] && { tries: rows[0].tries, givenUp: rows[0].given_up }
}
