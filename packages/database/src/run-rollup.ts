import { eq, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import type { Figures } from './metrics.ts'
import { wikiRunTotals } from './schema/metrics.ts'

/*
 * The roll-up of a wiki's runs: one row, which triggers on clustering_metrics keep (migration 0006). It answers what is asked of all runs
 * and of the newest 200, without reading them.
 */

export type Totals = Readonly<Record<string, { readonly n: number; readonly sum: number }>>

export interface RunTotals {
  readonly runs: number
  readonly totals: Totals
  readonly baselineJobId: string | null
  readonly baselineFigures: Figures | null
}

const totals = {
  runs: wikiRunTotals.runs,
  totals: wikiRunTotals.totals,
  baselineJobId: wikiRunTotals.baselineJobId,
  baselineFigures: wikiRunTotals.baselineFigures,
}

/** What is kept of all of a wiki's runs, and its pinned baseline. */
export async function readRunTotals(db: Executor, wikiId: number): Promise<RunTotals> {
  const rows = await db.orm.select(totals).from(wikiRunTotals).where(eq(wikiRunTotals.wikiId, wikiId))
  return rows[0] ?? { runs: 0, totals: {}, baselineJobId: null, baselineFigures: null }
}

/** Figures of the newest runs, oldest first, column by column. */
export interface RecentRuns {
  /** When each was completed, ms since 1970 */
  readonly at: Float64Array
  /** By metric, one for each run; NaN where a run has none */
  readonly figures: ReadonlyMap<string, Float64Array>
}

export interface RunRollup extends RunTotals, RecentRuns {
  /** The same for as long as nothing else of it changes */
  readonly revision: number
}

export interface RollupNow {
  /** Of the database, ms since 1970 */
  readonly now: number
  readonly revision: number
  /** Left out where the revision is the known one */
  readonly rollup: RunRollup | undefined
}

/**
 * The roll-up of a wiki, by one row.
 * @param known a revision that the caller has: of an unchanged roll-up only that is said
 * @returns undefined when there is no such wiki
 */
export async function readRunRollup(db: Executor, wikiId: number, known = -1): Promise<RollupNow | undefined> {
  const unless = (column: string) =>
    sql.raw(`case when t.revision <> ${Math.trunc(known)} then t.${column} end as ${column}`)
  const { rows } = await db.orm.execute<RollupRow>(sql`
    select extract(epoch from now())::float8 * 1000 as now, coalesce(t.revision, 0)::float8 as revision, t.runs,
      ${unless('totals')}, t.baseline_job_id, ${unless('baseline_figures')},
      ${unless('recent_at')}, ${unless('recent_metrics')}, ${unless('recent_figures')}
    from wikis w left join wiki_run_totals t on t.wiki_id = w.id where w.id = ${wikiId}`)
  const row = rows[0]
  if (!row) return undefined
  return { now: row.now, revision: row.revision, rollup: row.revision === known ? undefined : toRollup(row) }
}

interface RollupRow extends Record<string, unknown> {
  now: number
  revision: number
  runs: number | null
  totals: Totals | null
  baseline_job_id: string | null
  baseline_figures: Figures | null
  recent_at: Buffer | null
  recent_metrics: string[] | null
  recent_figures: Buffer | null
}

function toRollup(row: RollupRow): RunRollup {
  const at = numbersOf(row.recent_at)
  const figures = numbersOf(row.recent_figures)
  const column = (nth: number) => figures.subarray(nth * at.length, (nth + 1) * at.length)
  return {
    revision: row.revision,
    runs: row.runs ?? 0,
    totals: row.totals ?? {},
    baselineJobId: row.baseline_job_id,
    baselineFigures: row.baseline_figures,
    at,
    figures: new Map(row.recent_metrics?.map((metric, nth) => [metric, column(nth)])),
  }
}

/** float64 big-endian, as PostgreSQL's float8send writes it. A copy: its bytes are turned round. */
function numbersOf(bytes: Buffer | null): Float64Array {
  const numbers = new Float64Array((bytes?.length ?? 0) / 8)
  const copy = Buffer.from(numbers.buffer)
  if (bytes) copy.set(bytes)
  copy.swap64()
  return numbers
}

const dayMs = 86_400_000
export const daysBefore = (at: number, days: number): number => at - days * dayMs

/** How many of these runs are among the last `window` and were completed at or after `since` (ms since 1970). */
export function countNewest(runs: RecentRuns, window: number, since: number): number {
  const young = runs.at.findIndex((at) => at >= since)
  return Math.min(window, young === -1 ? 0 : runs.at.length - young)
}

/** The newest of these runs: the last `window` of them that were completed at or after `since` (ms since 1970). */
export function newestOf(runs: RecentRuns, window = runs.at.length, since = Number.NEGATIVE_INFINITY): RecentRuns {
  const count = countNewest(runs, window, since)
  const from = runs.at.length - count
  return {
    at: runs.at.subarray(from),
    figures: new Map([...runs.figures].map(([metric, column]) => [metric, column.subarray(from)])),
  }
}

/**
 * Pins the run that others are measured against, or with null unpins it. Its figures follow when its record is made again, and stay when
 * it goes.
 * @returns false when the wiki has no record of that job
 */
export async function setBaseline(tx: Transaction, wikiId: number, jobId: string | null, by: string): Promise<boolean> {
  await tx.orm.insert(wikiRunTotals).values({ wikiId }).onConflictDoNothing()
  // Held before the record is read: one that is made again meanwhile would leave old figures here.
  await tx.orm.select(totals).from(wikiRunTotals).where(eq(wikiRunTotals.wikiId, wikiId)).for('update')
  const { rowCount } = await tx.orm.execute(
    jobId === null
      ? sql`
    update wiki_run_totals set revision = revision + 1, baseline_job_id = null, baseline_figures = null, baseline_set_by = ${by}
    where wiki_id = ${wikiId}`
      : sql`
    update wiki_run_totals t set revision = revision + 1, baseline_job_id = c.job_id, baseline_figures = c.figures, baseline_set_by = ${by}
    from clustering_metrics c where t.wiki_id = ${wikiId} and c.wiki_id = ${wikiId} and c.job_id = ${jobId}`,
  )
  return rowCount === 1
}
