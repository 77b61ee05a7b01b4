import type { MetricSample } from '@tagloom/contracts'
import { eq, sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import { metricSamples } from './schema/metrics.ts'

/** What is stored of a sample: job, stage, batch, wiki, end, and the sample as JSON. */
export type SampleRow = readonly [
  jobId: string,
  stage: string,
  batch: string,
  wikiId: number,
  endedAt: string,
  json: string,
]
const columns = ['job_id', 'stage', 'batch', 'wiki_id', 'ended_at', 'data'] as const

/** @param json the sample as JSON, where it is at hand: it is stored as it is */
export const sampleRow = (sample: MetricSample, json = JSON.stringify(sample)): SampleRow => [
  sample.job_id,
  sample.stage,
  sample.batch,
  sample.wiki_id,
  sample.ended_at,
  json,
]

export const saveSamples = (
  db: Database,
  samples: readonly MetricSample[],
  given: { readonly again?: boolean } = {},
): Promise<number> =>
  saveSampleRows(
    db,
    samples.map((sample) => sampleRow(sample)),
    given,
  )

/**
 * Keeps samples by (job, stage, batch). A second delivery changes nothing; of two that differ the one that ended later stays, whichever
 * comes first. Records that are made already and get a new sample become stale.
 *
 * Samples that come for the first time go in by one COPY, which is half the work of an upsert for PostgreSQL (12 against 28 µs a sample);
 * where one of them is stored after all, the COPY leaves nothing behind and all are upserted.
 * @param given.again whether some may well be stored: the COPY is not tried
 * @returns rows that are new or changed
 */
export async function saveSampleRows(
  db: Database,
  samples: readonly SampleRow[],
  given: { readonly again?: boolean } = {},
): Promise<number> {
  const rows = inOrder(samples)
  if (rows.length === 0) return 0
  if (!given.again) {
    try {
      return await db.transaction((tx) => store(tx, rows, addNew))
    } catch (error) {
      if (!isStoredAlready(error)) throw error
    }
  }
  return db.transaction((tx) => store(tx, rows, addOrOverwrite))
}

/** One row for each key, in the order of keys: two processes that store the same ones cannot wait for each other. */
function inOrder(samples: readonly SampleRow[]): SampleRow[] {
  const rows: SampleRow[] = []
  for (const row of samples.toSorted(byKey)) {
    const before = rows.at(-1)
    if (!before || byKey(before, row) !== 0) rows.push(row)
    else if (isLater(row, before)) rows[rows.length - 1] = row
  }
  return rows
}

const byKey = (a: SampleRow, b: SampleRow): number => compare(a[0], b[0]) || compare(a[1], b[1]) || compare(a[2], b[2])
const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

/** The rule of the upsert below. */
function isLater(a: SampleRow, b: SampleRow): boolean {
  const order = Date.parse(a[4]) - Date.parse(b[4])
  return order !== 0 ? order > 0 : Buffer.compare(Buffer.from(a[5]), Buffer.from(b[5])) > 0
}

async function store(
  tx: Transaction,
  rows: readonly SampleRow[],
  write: (tx: Transaction, rows: readonly SampleRow[]) => Promise<number>,
): Promise<number> {
  const changed = await write(tx, rows)
  if (changed > 0) await makeStale(tx, [...new Set(rows.map(([jobId]) => jobId))])
  return changed
}

const addNew = (tx: Transaction, rows: readonly SampleRow[]): Promise<number> =>
  copyRows(tx, 'metric_samples', columns, rows)

async function addOrOverwrite(tx: Transaction, rows: readonly SampleRow[]): Promise<number> {
  const column = (at: number) => sql.param(rows.map((row) => row[at]))
  const { rowCount } = await tx.orm.execute(sql`
    insert into metric_samples (job_id, stage, batch, wiki_id, ended_at, data)
    select * from unnest(${column(0)}::text[], ${column(1)}::text[], ${column(2)}::text[], ${column(3)}::int[],
      ${column(4)}::timestamptz[], ${column(5)}::json[])
    on conflict (job_id, stage, batch) do update set data = excluded.data, ended_at = excluded.ended_at, recorded_at = now()
    where (metric_samples.ended_at, metric_samples.data::text collate "C") < (excluded.ended_at, excluded.data::text collate "C")`)
  return rowCount ?? 0
}

/**
 * Locked before it is asked whether the run is judged: who judges it marks it before reading its samples, so of a sample and a judgement that
 * meet, either the judgement sees the sample or the sample the mark.
 */
async function makeStale(tx: Transaction, jobIds: readonly string[]): Promise<void> {
  const { rows } = await tx.orm.execute<{ job_id: string; judged: boolean }>(sql`
    select job_id, evaluated_at is not null as judged from run_evaluations
    where job_id = any(${sql.param(jobIds)}) order by job_id for no key update`)
  const judged = rows.filter((row) => row.judged).map((row) => row.job_id)
  if (judged.length === 0) return
  // Asked after the lock was given, so that the record of a judgement that it waited for is seen. One that retention removed stays removed;
  // one that was given up is tried again.
  await tx.orm.execute(sql`
    update run_evaluations e set stale = true where job_id = any(${sql.param(judged)})
      and (e.gave_up is not null or exists (select from clustering_metrics c where c.job_id = e.job_id))`)
}

const uniqueViolation = '23505'
function isStoredAlready(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause)
    if ((e as { code?: string }).code === uniqueViolation) return true
  return false
}

/** Samples of a job in the order of their keys. */
export async function readSamples(db: Executor, jobId: string): Promise<MetricSample[]> {
  const rows = await db.orm
    .select({ data: metricSamples.data })
    .from(metricSamples)
    .where(eq(metricSamples.jobId, jobId))
    .orderBy(metricSamples.stage, metricSamples.batch)
  return rows.map((row) => row.data)
}
