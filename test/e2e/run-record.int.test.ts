import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MetricName, metricList, metricValue, type RunRecord } from '@tagloom/contracts'
import { type Database, openDatabase, readRecord } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { realWikiSource } from './real-wikis.ts'
import { type Facts, factsOfJob, type Line } from './record-facts.ts'

/*
 * The records of real jobs against what the database and the log say. The wiki is the documentation that comes with the installed
 * packages, cut short; RECORD_WIKI=path takes another folder or .ndjson file, the whole of it.
 */

/** What a duration may differ by, seconds */
const within = 0.05

let system: TestSystem
let db: Database
let logs: string
let wikiId: number

beforeAll(async () => {
  logs = mkdtempSync(join(tmpdir(), 'tagloom-logs-'))
  system = await startTestSystem({ env: { LOG_LEVEL: 'DEBUG', LOG_FILE: join(logs, 'tagloom.log') } })
  db = openDatabase({ url: system.databaseUrl, max: 2 })
}, 120_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  rmSync(logs, { recursive: true, force: true })
})

interface Recorded {
  readonly jobId: string
  readonly record: RunRecord
  readonly facts: Facts
}

async function recorded(): Promise<Recorded> {
  const { wikiId: id, job } = await system.tag(await realWikiSource(process.env.RECORD_WIKI))
  expect(job).toMatchObject({ status: 'completed', failure: null })
  wikiId = id
  const record = await vi.waitUntil(() => readRecord(db, job.id), { timeout: 30_000, interval: 50 })
  return { jobId: job.id, record, facts: await factsOfJob(db, job.id, linesOf(job.id)) }
}

const linesOf = (jobId: string): Line[] =>
  readdirSync(logs)
    .flatMap((name) => readFileSync(join(logs, name), 'utf8').split('\n'))
    .filter((line) => line.includes(jobId))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.job_id === jobId)

/** Metrics that come out of the log or the database in another precision: shares, means and times of calls. */
const isWhole = (name: MetricName): boolean => ['pages', 'clusters', 'errors', 'calls', 'tokens'].includes(unitOf(name))
const unitOf = (name: MetricName): string => metricList.find((metric) => metric.name === name)!.unit

function expectAgreement({ record, facts }: Recorded): void {
  expect(record.samples.received).toBe(record.samples.expected)
  for (const { name } of metricList) {
    const value = metricValue(record, name)
    const fact = facts[name]
    expect(fact, `${name} is not worked out anew`).not.toBeUndefined()
    if (fact === null || value === null) expect(value, name).toBe(fact)
    else if (unitOf(name) === 'seconds')
      expect(Math.abs(value - fact), `${name}: ${value} s, ${fact} s`).toBeLessThan(within)
    else if (name === 'pages_per_second')
      expect(Math.abs(facts.pages_processed! / value - facts.pages_processed! / fact), name).toBeLessThan(within)
    else if (isWhole(name) && Number.isInteger(fact)) expect(value, name).toBe(fact)
    else expect(Math.abs(value - fact), `${name}: ${value}, ${fact}`).toBeLessThan(1e-4)
  }
}

describe('the record of a real job', () => {
  let run: Recorded
  beforeAll(async () => {
    run = await recorded()
  }, 900_000)

  test('agrees in every metric with the database and the log', () => {
    expectAgreement(run)
    for (const group of ['performance', 'quality', 'coverage', 'errors'] as const)
      for (const [name, value] of Object.entries(run.record[group])) expect(value, name).toEqual(expect.any(Number))
  })

  test('has the durations that the log tells of each stage and of the job', () => {
    const of = (event: string, stage?: string) =>
      linesOf(run.jobId).find((line) => line.event === event && line.stage === stage)?.duration_seconds as number
    const { performance } = run.record
    const told = [
      [performance.embedding_duration_seconds, of('stage_completed', 'embed')],
      [performance.clustering_duration_seconds, of('stage_completed', 'cluster')],
      [performance.tag_generation_duration_seconds, of('stage_completed', 'label')],
      [performance.propagation_duration_seconds, of('stage_completed', 'propagate')],
      [performance.total_pipeline_duration_seconds, of('job_completed')],
    ] as const
    for (const [value, logged] of told) expect(Math.abs(value! - logged)).toBeLessThan(within)
  })

  test('has the histograms and spreads of cluster sizes and tags that the database has', async () => {
    const sizes = await column(
      `select count(*)::int as value from clusters c join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no
       where c.job_id = $1 and c.chosen group by c.no`,
      run.jobId,
    )
    const tags = await column(
      `select count(t.tag_id)::int as value from job_pages p left join page_tags t on t.job_id = p.job_id and t.page_id = p.page_id
       where p.job_id = $1 group by p.page_id`,
      run.jobId,
    )
    const { histograms, distributions } = run.record
    expect(histograms.cluster_sizes.counts).toEqual(countsOf(sizes, histograms.cluster_sizes.bounds))
    expect(histograms.tags_per_page.counts).toEqual(countsOf(tags, histograms.tags_per_page.bounds))
    for (const [name, values] of [
      ['cluster_sizes', sizes],
      ['tags_per_page', tags],
    ] as const) {
      const { count, mean, min, max, p50 } = distributions[name]
      expect({ count, min, max }).toEqual({ count: values.length, min: Math.min(...values), max: Math.max(...values) })
      expect(mean).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 9)
      const { rows } = await db.pool.query(
        'select percentile_cont(0.5) within group (order by v) as p50 from unnest($1::float8[]) v',
        [values],
      )
      expect(p50).toBeCloseTo(rows[0].p50, 9)
    }
  })

  test('stands in the columns of its table as it is', async () => {
    const { rows } = await db.pool.query('select * from clustering_metrics where job_id = $1', [run.jobId])
    const [row] = rows
    const { performance } = run.record
    expect(rows).toHaveLength(1)
    expect(row.total_duration_seconds).toBe(performance.total_pipeline_duration_seconds)
    for (const { name } of metricList) {
      expect(row.figures[name], name).toBe(metricValue(run.record, name))
      if (name in row) expect(row[name], name).toBe(metricValue(run.record, name))
    }
    expect(row.metrics_json).toEqual(JSON.parse(JSON.stringify(run.record)))
  })

  test('agrees for a second run too, which embeds nothing and withholds what people rejected', async () => {
    const { rows } = await db.pool.query<{ page: string; tag: string }>(
      `select p.external_id as page, t.label as tag from page_tags x join pages p on p.id = x.page_id join tags t on t.id = x.tag_id
       where x.job_id = $1 order by x.confidence desc, p.id limit 5`,
      [run.jobId],
    )
    for (const { page, tag } of rows) await reject(page, tag)
    const second = await recorded()
    expectAgreement(second)
    expect(second.record.performance).toMatchObject({ pages_embedded: 0, pages_reused: run.facts.pages_processed })
    expect(second.record.errors).toMatchObject({ propagation_conflicts: rows.length, total_errors: rows.length })
  }, 900_000)
})

const column = async (query: string, jobId: string): Promise<number[]> =>
  (await db.pool.query<{ value: number }>(query, [jobId])).rows.map((row) => row.value)

function countsOf(values: readonly number[], bounds: readonly number[]): number[] {
  const edges = [-Infinity, ...bounds, Infinity]
  return edges.slice(1).map((to, at) => values.filter((value) => value > edges[at]! && value <= to).length)
}

async function reject(page_id: string, tag: string): Promise<void> {
  const { status } = await system.call('POST', `/wikis/${wikiId}/decisions`, { kind: 'rejected', page_id, tag })
  expect(status).toBe(201)
}
