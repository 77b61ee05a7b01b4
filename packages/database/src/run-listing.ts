import { type MetricName, metricNamed } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import type { Figures } from './metrics.ts'

export interface ListRuns {
  readonly wikiId: number
  readonly limit: number
  readonly sort: MetricName | 'created_at'
  readonly order: 'asc' | 'desc'
  readonly after?: RunPosition | undefined
  readonly since?: Date | undefined
  readonly until?: Date | undefined
  readonly dryRun?: boolean | undefined
  readonly metric?: MetricName | undefined
  readonly min?: number | undefined
  readonly max?: number | undefined
}

/** Where a part of the list ended: the value it is sorted by (ms of created_at, or the metric), and the job. */
export type RunPosition = readonly [value: number, jobId: string]

export interface RunRow {
  readonly jobId: string
  readonly createdAt: Date
  readonly dryRun: boolean
  readonly figures: Figures
  readonly position: RunPosition
}

/** Finite stand-in for a run without the metric: it comes last in either order. */
const noValue = 1e300

/** Runs of a wiki with their figures; one query a part, whatever it is sorted by. */
export async function listRuns(db: Executor, list: ListRuns): Promise<RunRow[]> {
  const key = sortKey(list)
  const compared = list.order === 'asc' ? sql`>` : sql`<`
  const direction = list.order === 'asc' ? sql`asc` : sql`desc`
  const conditions: SQL[] = [sql`wiki_id = ${list.wikiId}`]
  if (list.after) conditions.push(sql`(${key.order}, job_id) ${compared} (${key.of(list.after[0])}, ${list.after[1]})`)
  if (list.since) conditions.push(sql`created_at >= ${list.since.toISOString()}::timestamptz`)
  if (list.until) conditions.push(sql`created_at <= ${list.until.toISOString()}::timestamptz`)
  if (list.dryRun !== undefined) conditions.push(sql`dry_run = ${list.dryRun}`)
  if (list.metric && list.min !== undefined) conditions.push(sql`(figures ->> ${list.metric})::float8 >= ${list.min}`)
  if (list.metric && list.max !== undefined) conditions.push(sql`(figures ->> ${list.metric})::float8 <= ${list.max}`)
  const { rows } = await db.orm.execute<{
    job_id: string
    created_at: string
    dry_run: boolean
    figures: Figures
    key: number
  }>(sql`
    select job_id, created_at, dry_run, figures, ${key.value} as key from clustering_metrics
    where ${sql.join(conditions, sql` and `)}
    order by ${key.order} ${direction}, job_id ${direction} limit ${list.limit}`)
  return rows.map((row) => ({
    jobId: row.job_id,
    createdAt: new Date(row.created_at),
    dryRun: row.dry_run,
    figures: row.figures,
    position: [row.key, row.job_id],
  }))
}

interface SortKey {
  /** What the list is ordered by; created_at itself, so that its index is used */
  readonly order: SQL
  /** The same as a number */
  readonly value: SQL
  /** A number as what the list is ordered by */
  readonly of: (value: number) => SQL
}

function sortKey({ sort, order }: ListRuns): SortKey {
  if (sort === 'created_at')
    return {
      order: sql`created_at`,
      value: sql`(extract(epoch from created_at) * 1000)::float8`,
      of: (ms) => sql`${new Date(ms).toISOString()}::timestamptz`,
    }
  if (!metricNamed(sort)) throw new Error(`expected a metric to sort by, got ${sort}`)
  const last = sql.raw(String(order === 'asc' ? noValue : -noValue))
  const value = sql`coalesce((figures ->> ${sql.raw(`'${sort}'`)})::float8, ${last})`
  return { order: value, value, of: (given) => sql`${given}::float8` }
}

export interface ComparedTag {
  readonly label: string
  readonly pagesA: number
  readonly pagesB: number
  readonly pagesBoth: number
}

/** The automatic tags of two jobs side by side, those first that differ on the most pages. */
export async function compareTags(db: Executor, a: string, b: string): Promise<ComparedTag[]> {
  const { rows } = await db.orm.execute<{ label: string; a: number; b: number; both: number }>(sql`
    with pairs as (
      select tag_id, page_id, bool_or(job_id = ${a}) as in_a, bool_or(job_id = ${b}) as in_b
      from page_tags where job_id in (${a}, ${b}) group by tag_id, page_id)
    select t.label, count(*) filter (where in_a)::int as a, count(*) filter (where in_b)::int as b,
      count(*) filter (where in_a and in_b)::int as both
    from pairs p join tags t on t.id = p.tag_id group by t.id, t.label
    order by count(*) filter (where in_a <> in_b) desc, t.label`)
  return rows.map((row) => ({ label: row.label, pagesA: row.a, pagesB: row.b, pagesBoth: row.both }))
}
