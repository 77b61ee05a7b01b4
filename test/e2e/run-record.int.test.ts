import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LogEventName, logEvents, logLineSchema, type RunRecord } from '@tagloom/contracts'
import { type Database, openDatabase, readRecord } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type TopicWiki, topicWiki } from './topic-wiki.ts'

/*
 * The record of a whole job against what the database and the log say, worked out anew in SQL and here; and the lines of that job against
 * their declaration. RECORD_WIKI=path takes another wiki than the made-up one.
 */

const canary = 'zanzibarcanary'
let system: TestSystem
let db: Database
let wiki: TopicWiki
let logs: string
let jobId: string
let record: RunRecord

beforeAll(async () => {
  wiki = topicWiki(20)
  logs = mkdtempSync(join(tmpdir(), 'tagloom-logs-'))
  const page = { id: 'canary', title: 'Two\nlines\r\nof title', text: `Bread with ${canary} in it. `.repeat(20) }
  appendFileSync(wiki.path, `${JSON.stringify(page)}\n`)
  system = await startTestSystem({ env: { LOG_LEVEL: 'DEBUG', LOG_FILE: join(logs, 'tagloom.log') } })
  db = openDatabase({ url: system.databaseUrl, max: 2 })
  const { job } = await system.tag(process.env.RECORD_WIKI ?? wiki.path, 'recorded')
  expect(job).toMatchObject({ status: 'completed', failure: null })
  jobId = job.id
  record = await vi.waitUntil(() => readRecord(db, jobId), { timeout: 30_000, interval: 50 })
}, 300_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  wiki.remove()
  rmSync(logs, { recursive: true, force: true })
})

const one = async (query: string): Promise<Record<string, number>> => {
  const { rows } = await db.pool.query(query, [jobId])
  return Object.fromEntries(
    Object.entries(rows[0]).map(([name, value]) => [name, value === null ? null : Number(value)]),
  ) as never
}

describe('the record of a job', () => {
  test('has every sample, and a value in every field of the four groups', () => {
    expect(record.samples.received).toBe(record.samples.expected)
    const { performance, quality, coverage, errors } = record
    for (const [name, value] of Object.entries({ ...performance, ...quality, ...coverage, ...errors }))
      expect(value, name).toEqual(expect.any(Number))
  })

  test('has the counts that the database has, exactly', async () => {
    const { coverage, quality, performance } = record
    const pages = await one('select count(*) as n from job_pages where job_id = $1')
    const tags = await one('select count(*) as n, count(distinct page_id) as pages from page_tags where job_id = $1')
    const perPage = await one(
      `select min(n) as min, max(n) as max from (select count(t.tag_id) as n from job_pages p left join page_tags t
         on t.job_id = p.job_id and t.page_id = p.page_id where p.job_id = $1 group by p.page_id) x`,
    )
    expect(coverage).toMatchObject({
      pages_processed: pages.n,
      pages_tagged: tags.pages,
      pages_untagged: pages.n! - tags.pages!,
      total_tags_applied: tags.n,
      min_tags_per_page: perPage.min,
      max_tags_per_page: perPage.max,
    })
    expect(coverage.avg_tags_per_page).toBeCloseTo(tags.n! / pages.n!, 9)
    expect(coverage.coverage_percentage).toBeCloseTo((100 * tags.pages!) / pages.n!, 9)
    const clusters = await one(
      `select count(*) as n, min(pages) as min, max(pages) as max, sum(pages) as clustered from (
         select count(m.page_id) as pages from clusters c join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no
         where c.job_id = $1 and c.chosen group by c.no) x`,
    )
    expect(quality).toMatchObject({
      cluster_count: clusters.n,
      min_cluster_size: clusters.min,
      max_cluster_size: clusters.max,
      outlier_count: pages.n! - clusters.clustered!,
    })
    expect(quality.avg_cluster_size).toBeCloseTo(clusters.clustered! / clusters.n!, 9)
    const named = await one(
      `select count(*)::float8 / nullif(count(distinct cluster_no), 0) as mean from cluster_tags where job_id = $1`,
    )
    expect(quality.tags_per_cluster).toBeCloseTo(named.mean!, 9)
    expect(performance.pages_embedded! + performance.pages_reused!).toBe(pages.n)
  })

  test('has the durations that the database and the log have, within 50 ms', async () => {
    const total = await one(`select extract(epoch from ended_at - started_at) as seconds from jobs where id = $1`)
    expect(Math.abs(record.performance.total_pipeline_duration_seconds! - total.seconds!)).toBeLessThan(0.05)
    const { rows } = await db.pool.query(
      `select stage, extract(epoch from max((data ->> 'ended_at')::timestamptz) - min((data ->> 'started_at')::timestamptz))::float8
         as seconds from metric_samples where job_id = $1 group by stage`,
      [jobId],
    )
    const of = Object.fromEntries(rows.map((row) => [row.stage, row.seconds]))
    const { performance } = record
    expect(Math.abs(performance.embedding_duration_seconds! - of.embed)).toBeLessThan(0.05)
    expect(Math.abs(performance.clustering_duration_seconds! - of.cluster)).toBeLessThan(0.05)
    expect(Math.abs(performance.tag_generation_duration_seconds! - of.label)).toBeLessThan(0.05)
    expect(Math.abs(performance.propagation_duration_seconds! - of.propagate)).toBeLessThan(0.05)
    const calls = linesOf().filter((line) =>
      ['llm_timeout', 'llm_failure', 'parsing_error'].includes(line.event as string),
    )
    const { llm_failures, llm_timeouts, parsing_errors } = record.errors
    expect(llm_failures! + llm_timeouts! + parsing_errors!).toBe(calls.length)
  })
})

type Line = Record<string, unknown>
const text = (): string =>
  readdirSync(logs)
    .map((name) => readFileSync(join(logs, name), 'utf8'))
    .join('')
const linesOf = (): Line[] =>
  text()
    .split('\n')
    .filter((line) => line.includes(jobId))
    .map((line) => JSON.parse(line) as Line)

describe('the log of a job', () => {
  test('is one JSON object a line, and every named event follows its declaration', () => {
    const named = linesOf().filter((line) => line.event !== undefined)
    for (const line of named) {
      expect(Object.keys(logEvents), JSON.stringify(line)).toContain(line.event)
      const schema = logLineSchema(line.event as LogEventName)
      expect(
        [...Value.Errors(schema, line)].map((error) => `${error.instancePath} ${error.message}`),
        JSON.stringify(line),
      ).toEqual([])
      expect(line.level).toBe(logEvents[line.event as LogEventName].level)
    }
    const seen = new Set(named.map((line) => line.event))
    for (const event of [
      'clustering_started',
      'tags_generated',
      'job_completed',
      'stage_completed',
      'batch_completed',
      'record_stored',
    ])
      expect(seen, event).toContain(event)
  })

  test('carries one request id and one trace id through all services', () => {
    const lines = linesOf().filter((line) => line.trace_id !== undefined)
    expect(new Set(lines.map((line) => line.trace_id)).size).toBe(1)
    expect(new Set(lines.flatMap((line) => line.request_id ?? [])).size).toBe(1)
    expect(new Set(lines.map((line) => line.service)).size).toBeGreaterThanOrEqual(4)
  })

  test('holds no page text and no key', () => {
    expect(text()).not.toContain(canary)
    expect(text()).not.toContain('a-key-for-tests-alone')
  })
})
