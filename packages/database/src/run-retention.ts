import { type SQL, sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'

/*
 * Retention of everything that the aggregator writes, by age and by runs of a wiki. In steps of bounded size, each a transaction of its own;
 * rows that another replica removes at the same time are left to it.
 */

export interface Retention {
  /** Most days that samples, records, resolved alerts and ended silences are kept */
  readonly days: number
  /** Most records of one wiki, and most of its resolved alerts; 0: any number */
  readonly runsPerWiki: number
  /** For so long a completed job is remembered as judged whatever the rest says: until then it may be found again and judged anew */
  readonly judgedDays: number
}

export interface Expired {
  readonly records: number
  readonly samples: number
  readonly evaluations: number
  readonly alerts: number
}

const recordsAtOnce = 500
const rowsAtOnce = 10_000
/** Each of one sample to some thousand */
const sampleRowsAtOnce = 2_000

/** Removes what retention lets go. A wiki's last record and its baseline stay, however old. @returns rows removed */
export async function expireRunData(db: Database, retention: Retention): Promise<Expired> {
  const age = sql`now() - ${retention.days} * interval '1 day'`
  const gone = await expireRecords(db, age, retention.runsPerWiki)
  const old = await expireSamples(db, age)
  const evaluations = await inSteps(
    db,
    sql`
    delete from run_evaluations where job_id in (
      select job_id from run_evaluations e
      where evaluated_at is not null and completed_at < now() - ${retention.judgedDays} * interval '1 day'
        and (completed_at < ${age} or not exists (select from clustering_metrics c where c.job_id = e.job_id))
      limit ${rowsAtOnce} for update skip locked)`,
  )
  const alerts = await expireAlerts(db, age, retention.runsPerWiki)
  await db.orm.execute(sql`delete from alert_silences where ends_at < ${age}`)
  return { records: gone.records, samples: gone.samples + old, evaluations, alerts }
}

async function inSteps(db: Executor, statement: SQL): Promise<number> {
  let removed = 0
  for (;;) {
    const { rowCount } = await db.orm.execute(statement)
    if (!rowCount) return removed
    removed += rowCount
  }
}

/** Of a row of metric_sample_batches */
const samplesInRow = sql.raw(`(length(keys) - length(replace(keys, E'\\n', '')) + 1)`)

async function expireSamples(db: Executor, age: SQL): Promise<number> {
  let removed = 0
  for (;;) {
    const { rows } = await db.orm.execute<{ rows: number; samples: number }>(sql`
      with gone as (
        delete from metric_sample_batches where (job_id, id) in (
          select job_id, id from metric_sample_batches where recorded_at < ${age} limit ${sampleRowsAtOnce} for update skip locked)
        returning ${samplesInRow} as n)
      select count(*)::int as rows, coalesce(sum(n), 0)::int as samples from gone`)
    if (!rows[0]?.rows) return removed
    removed += rows[0].samples
  }
}

/** Records, and with each the samples that it was made of. */
async function expireRecords(
  db: Database,
  age: SQL,
  runsPerWiki: number,
): Promise<{ records: number; samples: number }> {
  const { rows } = await db.orm.execute<{ id: number }>(sql`
    select r.id::float8 as id from (
      select id, wiki_id, job_id, created_at,
        row_number() over (partition by wiki_id order by created_at desc, job_id desc) as nth,
        row_number() over (partition by wiki_id, dry_run order by created_at desc, job_id desc) as nth_of_kind
      from clustering_metrics) r
    left join wiki_run_totals t on t.wiki_id = r.wiki_id
    where r.nth_of_kind > 1 and r.job_id is distinct from t.baseline_job_id
      and (r.created_at < ${age} or (${runsPerWiki}::int > 0 and r.nth > ${runsPerWiki}::int))
    order by r.id`)
  const removed = { records: 0, samples: 0 }
  for (let from = 0; from < rows.length; from += recordsAtOnce) {
    const ids = rows.slice(from, from + recordsAtOnce).map((row) => row.id)
    const { rows: counts } = await db.orm.execute<{ records: number; samples: number }>(sql`
      with gone as (
        delete from clustering_metrics where id in (
          select id from clustering_metrics where id = any(${sql.param(ids)}::bigint[]) order by id for update skip locked)
        returning job_id),
        measured as (delete from metric_sample_batches b using gone where b.job_id = gone.job_id returning ${samplesInRow} as n)
      select (select count(*) from gone)::int as records, (select coalesce(sum(n), 0) from measured)::int as samples`)
    removed.records += counts[0]?.records ?? 0
    removed.samples += counts[0]?.samples ?? 0
  }
  return removed
}

/** Resolved alerts, with their transitions and deliveries. */
const expireAlerts = (db: Executor, age: SQL, runsPerWiki: number): Promise<number> =>
  inSteps(
    db,
    sql`
    delete from alerts where id in (
      select a.id from alerts a
      join (select id, row_number() over (partition by wiki_id order by id desc) as nth from alerts where not open) r on r.id = a.id
      where not a.open and (a.resolved_at < ${age} or (${runsPerWiki}::int > 0 and r.nth > ${runsPerWiki}::int))
      order by a.id limit 1000 for update of a skip locked)`,
  )
