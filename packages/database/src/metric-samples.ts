import type { MetricSample } from '@tagloom/contracts'
import { eq, sql } from 'drizzle-orm'
import { copyTexts } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import { whileNoRunIsNoted } from './run-evaluations.ts'
import { metricSampleBatches } from './schema/metrics.ts'

/*
 * Samples are kept as they came: those of a job that are stored together are one row, and rows are only added. What comes twice may be there
 * twice; whoever reads takes one of each (stage, batch): the one that ended later, of two that ended together the greater JSON. So the order
 * and number of deliveries show in no reading. Row for each sample, with a unique key: decision 0061.
 */

/** A sample as it is stored: its job, its key within the job, and itself as one line of JSON. */
export interface SampleToStore {
  readonly jobId: string
  readonly key: string
  readonly json: Uint8Array
}

const newline = 10

/** @param json the sample as JSON: it is stored as it is, in one line */
export const sampleToStore = (
  { job_id, stage, batch }: Pick<MetricSample, 'job_id' | 'stage' | 'batch'>,
  json: Uint8Array,
): SampleToStore => ({
  jobId: job_id,
  key: `${stage}/${batch}`,
  json: json.includes(newline) ? Buffer.from(JSON.stringify(JSON.parse(Buffer.from(json).toString()))) : json,
})

/**
 * Stores samples, all or none. A second delivery changes nothing in any reading. Of a run that is judged already only what is new or changes
 * something is stored, and its record becomes stale.
 */
export async function storeSamples(db: Database, samples: readonly SampleToStore[]): Promise<void> {
  if (samples.length === 0) return
  await db.transaction(async (tx) => {
    await whileNoRunIsNoted(tx)
    const judged = await holdJudgedRuns(tx, new Set(samples.map(({ jobId }) => jobId)))
    const late = await withoutKnown(
      tx,
      samples.filter(({ jobId }) => judged.has(jobId)),
    )
    const kept = judged.size === 0 ? samples : [...samples.filter(({ jobId }) => !judged.has(jobId)), ...late]
    await copyTexts(tx, 'metric_sample_batches', ['job_id', 'keys', 'samples'], rowsOf(kept))
    await makeStale(tx, new Set(late.map(({ jobId }) => jobId)))
  })
}

function* rowsOf(samples: readonly SampleToStore[]): Generator<[jobId: string, keys: string, samples: Buffer]> {
  const ofJob = Map.groupBy(samples, ({ jobId }) => jobId)
  for (const [jobId, own] of ofJob)
    yield [jobId, own.map(({ key }) => key).join('\n'), joinLines(own.map(({ json }) => json))]
}

function joinLines(lines: readonly Uint8Array[]): Buffer {
  const joined = Buffer.allocUnsafe(lines.reduce((length, line) => length + line.length + 1, -1))
  let at = 0
  for (const line of lines) {
    if (at > 0) joined[at++] = newline
    joined.set(line, at)
    at += line.length
  }
  return joined
}

/**
 * Those of the jobs whose run is judged, held until the transaction ends. Who judges one marks it before reading its samples, so of a sample and
 * a judgement that meet, either the judgement sees the sample or the sample the mark. Locked in one order, so that two who store wait for
 * each other in no circle.
 */
async function holdJudgedRuns(tx: Transaction, jobIds: ReadonlySet<string>): Promise<Set<string>> {
  const { rows } = await tx.orm.execute<{ job_id: string; judged: boolean }>(sql`
    select job_id, evaluated_at is not null as judged from run_evaluations
    where job_id = any(${sql.param([...jobIds])}) order by job_id for no key update`)
  return new Set(rows.filter((row) => row.judged).map((row) => row.job_id))
}

/** Without the samples that are stored already, or are behind one that is. */
async function withoutKnown(tx: Transaction, samples: readonly SampleToStore[]): Promise<SampleToStore[]> {
  if (samples.length === 0) return []
  const column = (name: 'jobId' | 'key') => sql.param(samples.map((sample) => sample[name]))
  const { rows } = await tx.orm.execute<{ job_id: string; key: string; json: string }>(sql`
    select b.job_id, l.key, l.json from metric_sample_batches b
    cross join lateral rows from (string_to_table(b.keys, E'\\n'), string_to_table(b.samples, E'\\n')) l (key, json)
    where b.job_id = any(${column('jobId')})
      and (b.job_id, l.key) in (select * from unnest(${column('jobId')}::text[], ${column('key')}::text[]))`)
  const known = latestOf(rows.map((row) => ({ key: `${row.job_id}\n${row.key}`, json: row.json })))
  return samples.filter(({ jobId, key, json }) => {
    const stored = known.get(`${jobId}\n${key}`)
    return stored === undefined || isLater(Buffer.from(json).toString(), stored)
  })
}

/** One that retention removed stays removed; one that was given up is tried again. */
async function makeStale(tx: Transaction, jobIds: ReadonlySet<string>): Promise<void> {
  if (jobIds.size === 0) return
  await tx.orm.execute(sql`
    update run_evaluations e set stale = true where job_id = any(${sql.param([...jobIds])})
      and (e.gave_up is not null or exists (select from clustering_metrics c where c.job_id = e.job_id))`)
}

/** Samples of a job, one of each (stage, batch), in the order in which each came first. */
export async function readSamples(db: Executor, jobId: string): Promise<MetricSample[]> {
  const { keys, samples } = metricSampleBatches
  const rows = await db.orm
    .select({ keys, samples })
    .from(metricSampleBatches)
    .where(eq(metricSampleBatches.jobId, jobId))
    .orderBy(metricSampleBatches.id)
  return [...latestOf(linesOf(rows)).values()].map((json) => JSON.parse(json) as MetricSample)
}

interface Line {
  readonly key: string
  readonly json: string
}

function* linesOf(rows: Iterable<{ readonly keys: string; readonly samples: string }>): Generator<Line> {
  for (const row of rows) {
    const samples = row.samples.split('\n')
    for (const [at, key] of row.keys.split('\n').entries()) yield { key, json: samples[at] as string }
  }
}

function latestOf(lines: Iterable<Line>): Map<string, string> {
  const latest = new Map<string, string>()
  for (const { key, json } of lines) {
    const known = latest.get(key)
    if (known === undefined || isLater(json, known)) latest.set(key, json)
  }
  return latest
}

/** The rule of the view `metric_samples`. */
function isLater(a: string, b: string): boolean {
  if (a === b) return false
  const order = endOf(a) - endOf(b)
  return order !== 0 ? order > 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0
}

const endOf = (json: string): number => Date.parse((JSON.parse(json) as MetricSample).ended_at)
