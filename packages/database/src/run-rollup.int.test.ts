import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from './database.ts'
import type { Figures } from './metrics.ts'
import { newestOf, type RunRollup, readRunRollup, readRunTotals, setBaseline } from './run-rollup.ts'
import { createTestWiki, openTestDatabase } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

interface Run {
  readonly nth: number
  readonly dryRun: boolean
  readonly hour: number
  readonly figures: Figures
}

const jobId = (wikiId: number, nth: number) => `job_${wikiId}_${nth}`

/** Adds the runs in one statement, or changes them where they are there already. */
async function put(wikiId: number, runs: readonly Run[], on: Pick<Database['pool'], 'query'> = db.pool): Promise<void> {
  const unique = [...new Map(runs.map((run) => [run.nth, run])).values()].sort((a, b) => a.nth - b.nth)
  const values = [wikiId, unique.map(({ nth }) => jobId(wikiId, nth))]
  await on.query(
    `insert into jobs (id, wiki_id, status, options) select unnest($2::text[]), $1, 'completed', '{}' on conflict do nothing`,
    values,
  )
  await on.query(
    `insert into clustering_metrics (wiki_id, job_id, created_at, dry_run, figures, metrics_json)
     select $1, * from unnest($2::text[], $3::timestamptz[], $4::bool[], $5::jsonb[], $6::jsonb[])
     on conflict (job_id) do update set created_at = excluded.created_at, dry_run = excluded.dry_run, figures = excluded.figures`,
    [
      ...values,
      unique.map(({ hour }) => new Date(Date.UTC(2026, 0, 1, hour)).toISOString()),
      unique.map(({ dryRun }) => dryRun),
      unique.map(({ figures }) => JSON.stringify(figures)),
      unique.map(() => '{}'),
    ],
  )
}

const remove = (wikiId: number, from: 'clustering_metrics' | 'jobs', nths: readonly number[]) =>
  db.pool.query(`delete from ${from} where ${from === 'jobs' ? 'id' : 'job_id'} = any($1)`, [
    nths.map((nth) => jobId(wikiId, nth)),
  ])

/** What the roll-up says, in plain values. */
async function rolledUp(wikiId: number) {
  const { rollup } = (await readRunRollup(db, wikiId)) as { rollup: RunRollup }
  return {
    runs: rollup.runs,
    totals: rollup.totals,
    at: [...rollup.at],
    figures: Object.fromEntries([...rollup.figures].map(([name, values]) => [name, [...values]])),
  }
}

/** The same, counted anew from the runs. Sums are those of PostgreSQL's decimals, exact. */
async function counted(wikiId: number) {
  const { rows } = await db.pool.query<{ at: Date; figures: Figures }>(
    `select created_at as at, figures from clustering_metrics
     where wiki_id = $1 and not dry_run order by created_at desc, job_id desc`,
    [wikiId],
  )
  const { rows: sums } = await db.pool.query(
    `select key, count(*)::int as n, sum(value::numeric)::float8 as sum from clustering_metrics, jsonb_each_text(figures)
     where wiki_id = $1 and not dry_run and value is not null group by key`,
    [wikiId],
  )
  const newest = rows.slice(0, 200).reverse()
  const names = [...new Set(newest.flatMap((row) => Object.keys(row.figures)))]
  return {
    runs: rows.length,
    totals: Object.fromEntries(sums.map(({ key, n, sum }) => [key, { n, sum }])),
    at: newest.map((row) => row.at.getTime()),
    figures: Object.fromEntries(names.map((name) => [name, newest.map((row) => row.figures[name] ?? Number.NaN)])),
  }
}

const figure = fc.oneof(
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -5, max: 5 }),
)
const run: fc.Arbitrary<Run> = fc.record({
  nth: fc.nat({ max: 15 }),
  dryRun: fc.boolean(),
  hour: fc.nat({ max: 400 }),
  figures: fc.dictionary(fc.constantFrom('a', 'b', 'cluster_count'), figure),
})
const nths = fc.array(fc.nat({ max: 15 }), { minLength: 1, maxLength: 6 })
const change = fc.oneof(
  fc.record({ put: fc.array(run, { minLength: 1, maxLength: 8 }) }),
  fc.record({ removeRuns: nths }),
  fc.record({ removeJobs: nths }),
)

it('equals what counting anew gives, whatever is added, changed and removed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
      const wikiId = await createTestWiki(db)
      for (const one of changes) {
        if ('put' in one) await put(wikiId, one.put)
        else if ('removeRuns' in one) await remove(wikiId, 'clustering_metrics', one.removeRuns)
        else await remove(wikiId, 'jobs', one.removeJobs)
      }
      expect(await rolledUp(wikiId)).toEqual(await counted(wikiId))
    }),
    { numRuns: 60 },
  )
}, 60_000)

it('equals it when many write at once', async () => {
  const wikis = [await createTestWiki(db), await createTestWiki(db)]
  const writer = async (of: number) => {
    for (let i = 0; i < 15; i++) {
      const wikiId = wikis[(of + i) % 2] as number
      await put(wikiId, [
        { nth: of * 100 + i, dryRun: false, hour: i, figures: { a: i / 3, b: of } },
        { nth: i, dryRun: i % 4 === 0, hour: of, figures: { a: of / 7 } },
      ])
      if (i % 3 === 0) await remove(wikiId, 'clustering_metrics', [of * 100 + i - 1, i - 1])
    }
  }
  await Promise.all([1, 2, 3, 4].map(writer))
  for (const wikiId of wikis) expect(await rolledUp(wikiId)).toEqual(await counted(wikiId))
}, 60_000)

it('holds the newest 200 runs of any number', async () => {
  const wikiId = await createTestWiki(db)
  await put(
    wikiId,
    Array.from({ length: 230 }, (_, nth) => ({ nth, dryRun: false, hour: 230 - nth, figures: { a: nth } })),
  )
  const rollup = await rolledUp(wikiId)
  expect(rollup).toEqual(await counted(wikiId))
  expect(rollup.figures.a).toHaveLength(200)
  expect(rollup.figures.a?.at(-1)).toBe(0)
  await remove(wikiId, 'clustering_metrics', [0, 1, 2])
  expect((await rolledUp(wikiId)).figures.a?.slice(-1)).toEqual([3])
})

it('goes with its wiki', async () => {
  const wikiId = await createTestWiki(db)
  await put(wikiId, [{ nth: 1, dryRun: false, hour: 1, figures: { a: 1 } }])
  await db.pool.query('delete from wikis where id = $1', [wikiId])
  expect(await readRunRollup(db, wikiId)).toBeUndefined()
})

it('says only its revision to who knows it, and another after every change', async () => {
  const wikiId = await createTestWiki(db)
  const first = await readRunRollup(db, wikiId)
  expect(first?.rollup).toMatchObject({ runs: 0, revision: 0 })
  await put(wikiId, [{ nth: 1, dryRun: false, hour: 1, figures: { a: 1 } }])
  const second = await readRunRollup(db, wikiId, first?.revision)
  expect(second?.rollup?.runs).toBe(1)
  expect((await readRunRollup(db, wikiId, second?.revision))?.rollup).toBeUndefined()
  await db.transaction((tx) => setBaseline(tx, wikiId, jobId(wikiId, 1), 'test'))
  expect((await readRunRollup(db, wikiId, second?.revision))?.rollup?.baselineFigures).toEqual({ a: 1 })
})

it('keeps the figures of the baseline when its record changes, and when it goes', async () => {
  const wikiId = await createTestWiki(db)
  const of = (a: number) => [{ nth: 1, dryRun: false, hour: 1, figures: { a } }]
  await put(wikiId, of(1))
  await db.transaction((tx) => setBaseline(tx, wikiId, jobId(wikiId, 1), 'test'))
  await put(wikiId, of(2))
  expect((await readRunTotals(db, wikiId)).baselineFigures).toEqual({ a: 2 })
  await remove(wikiId, 'clustering_metrics', [1])
  expect((await readRunTotals(db, wikiId)).baselineFigures).toEqual({ a: 2 })
  expect(await db.transaction((tx) => setBaseline(tx, wikiId, jobId(wikiId, 1), 'test'))).toBe(false)
  await db.transaction((tx) => setBaseline(tx, wikiId, null, 'test'))
  expect(await readRunTotals(db, wikiId)).toMatchObject({ baselineJobId: null, baselineFigures: null })
})

it('gives the newest runs by number and by time', () => {
  const runs = { at: Float64Array.of(10, 20, 30), figures: new Map([['a', Float64Array.of(1, 2, 3)]]) }
  const of = (window?: number, since?: number) => [...(newestOf(runs, window, since).figures.get('a') ?? [])]
  expect(of()).toEqual([1, 2, 3])
  expect(of(2)).toEqual([2, 3])
  expect(of(3, 20)).toEqual([2, 3])
  expect(of(1, 20)).toEqual([3])
  expect(of(3, 31)).toEqual([])
})
