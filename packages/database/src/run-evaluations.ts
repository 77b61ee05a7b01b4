import { and, eq, sql } from 'drizzle-orm'
import type { Database, Executor, Transaction } from './database.ts'
import { jobs } from './schema/jobs.ts'
import { metricSamples, runEvaluations } from './schema/metrics.ts'

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

export async function addRunEvaluation(
  db: Executor,
  run: Pick<RunEvaluation, 'jobId' | 'wikiId' | 'completedAt' | 'expectedSamples'>,
): Promise<void> {
  await db.orm.insert(runEvaluations).values(run).onConflictDoNothing()
}

/** Completed jobs of the last days whose completion was never heard of: the message was lost with its stream. */
export async function addForgottenEvaluations(db: Executor, days: number): Promise<number> {
  const result = await db.orm.execute(sql`
    insert into run_evaluations (job_id, wiki_id, completed_at, expected_samples)
    select j.id, j.wiki_id, j.ended_at, (select count(*)::int from ${metricSamples} s where s.job_id = j.id)
    from ${jobs} j
    where j.status = 'completed' and j.ended_at between now() - ${days} * interval '1 day' and now() - interval '10 minutes'
      and not exists (select from run_evaluations e where e.job_id = j.id)
    on conflict do nothing`)
  return result.rowCount ?? 0
}

export interface DueRun extends RunEvaluation {
  /** How many of its samples are stored */
  readonly samples: number
  /** Whether the wait for the others is over */
  readonly overdue: boolean
}

/**
 * The oldest run of each wiki that is not judged yet. Runs of a wiki are judged in the order of their completion, so a run
 * whose samples are still on their way holds up those after it, for as long as the grace lasts.
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
    select e.job_id, e.wiki_id, e.completed_at, e.expected_samples, s.samples,
      e.completed_at < now() - ${graceSeconds} * interval '1 second' as overdue
    from (
      select distinct on (wiki_id) * from run_evaluations where evaluated_at is null
      order by wiki_id, completed_at, job_id limit ${limit}
    ) e
    cross join lateral (select count(*)::int as samples from metric_samples m where m.job_id = e.job_id) s`)
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

/** Marks a run judged. @returns false when another did it already */
export async function finishRunEvaluation(tx: Transaction, jobId: string): Promise<boolean> {
  const rows = await tx.orm
    .update(runEvaluations)
    .set({ evaluatedAt: sql`now()` as never })
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
    .where(eq(runEvaluations.stale, true))
    .limit(1)
    .for('update', { skipLocked: true })
  if (row) await tx.orm.update(runEvaluations).set({ stale: false }).where(eq(runEvaluations.jobId, row.jobId))
  return row
}

export interface Retention {
  /** Samples and resolved alerts older than this go; records of runs too, but never a wiki's last nor its baseline */
  readonly days: number
  /** Most records of one wiki; 0: any number */
  readonly runsPerWiki: number
}

/** Removes what retention lets go, in bounded steps. @returns rows removed */
export async function expireRunData(
  db: Database,
  { days, runsPerWiki }: Retention,
): Promise<{ samples: number; records: number; alerts: number }> {
  const age = sql`now() - ${days} * interval '1 day'`
  const samples = await inSteps(
    db,
    sql`
    delete from metric_samples where (job_id, stage, batch) in
      (select job_id, stage, batch from metric_samples where recorded_at < ${age} limit 10000)`,
  )
  const alerts = await inSteps(
    db,
    sql`
    delete from alerts where id in (select id from alerts where not open and resolved_at < ${age} limit 1000)`,
  )
  await db.orm.execute(sql`delete from alert_silences where ends_at < ${age}`)
  const records = await expireRecords(db, days, runsPerWiki)
  return { samples, records, alerts }
}

async function inSteps(db: Executor, statement: ReturnType<typeof sql>): Promise<number> {
  let removed = 0
  for (;;) {
    const { rowCount } = await db.orm.execute(statement)
    if (!rowCount) return removed
    removed += rowCount
  }
}

async function expireRecords(db: Database, days: number, runsPerWiki: number): Promise<number> {
  return db.transaction(async (tx) => {
    const gone = await tx.orm.execute<{ wiki_id: number }>(sql`
      with ranked as (
        select id, wiki_id, job_id, created_at, row_number() over (partition by wiki_id order by created_at desc, job_id desc) as nth
        from clustering_metrics)
      delete from clustering_metrics c using ranked r left join wiki_run_totals t on t.wiki_id = r.wiki_id
      where c.id = r.id and r.nth > 1 and r.job_id is distinct from t.baseline_job_id
        and (r.created_at < now() - ${days} * interval '1 day' or (${runsPerWiki}::int > 0 and r.nth > ${runsPerWiki}::int))
      returning c.wiki_id`)
    for (const wikiId of new Set(gone.rows.map((row) => row.wiki_id))) await rebuildTotals(tx, wikiId)
    return gone.rows.length
  })
}

/** Counts the totals of a wiki anew from its records. */
async function rebuildTotals(tx: Transaction, wikiId: number): Promise<void> {
  await tx.orm.execute(sql`
    with kept as (select figures from clustering_metrics where wiki_id = ${wikiId} and not dry_run),
      sums as (select f.key, count(f.value::float8)::int as n, sum(f.value::float8) as sum
        from kept, jsonb_each_text(kept.figures) f where f.value is not null group by f.key)
    update wiki_run_totals set runs = (select count(*) from kept),
      totals = (select coalesce(jsonb_object_agg(key, jsonb_build_object('n', n, 'sum', sum)), '{}') from sums)
    where wiki_id = ${wikiId}`)
}
