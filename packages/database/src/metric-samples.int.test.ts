import type { MetricSample } from '@tagloom/contracts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from './database.ts'
import { createJob } from './jobs.ts'
import { readSamples, sampleToStore, storeSamples } from './metric-samples.ts'
import { addRunEvaluation, readDueRuns } from './run-evaluations.ts'
import { createTestWiki, openTestDatabase, saveSamples, whenWaitingForLocks } from './testing.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

let jobs = 0
const newJob = () => `job_${jobs++}`
const sample = (job_id: string, batch: string, second = 0, pages = 1): MetricSample => ({
  wiki_id: 1,
  job_id,
  stage: 'embed',
  batch,
  service: 'tagger',
  started_at: '2026-01-01T00:00:00.000Z',
  ended_at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
  duration_seconds: 1,
  counters: { pages_embedded: pages },
  gauges: {},
  details: { said: 'tab\tline\nquote " backslash \\ snowman ☃' },
})

const keysOf = (samples: readonly MetricSample[]) => samples.map(({ batch }) => batch)

/** What the view shows of a job. */
async function shown(job: string) {
  const { rows } = await db.pool.query('select * from metric_samples where job_id = $1 order by stage, batch', [job])
  return rows
}

it('keeps samples as they came, in one row for each job, and shows nothing of a second delivery', async () => {
  const [job, other] = [newJob(), newJob()]
  const given = [sample(job, '0'), sample(job, '1'), sample(job, 'of two words / and a slash')]
  await saveSamples(db, [...given, sample(other, '0')])
  const rows = await db.pool.query('select from metric_sample_batches where job_id = any($1)', [[job, other]])
  expect(rows.rowCount).toBe(2)
  expect(await readSamples(db, job)).toEqual(given)
  const before = await shown(job)
  expect(before.map(({ stage, batch, data }) => ({ stage, batch, data }))).toEqual(
    given.map((data) => ({ stage: 'embed', batch: data.batch, data })),
  )
  expect(before[0]).toMatchObject({ wiki_id: 1, ended_at: new Date(given[0]!.ended_at) })
  await saveSamples(db, given)
  await saveSamples(db, [sample(job, '2'), ...given, sample(job, '2')])
  expect(keysOf(await readSamples(db, job))).toEqual([...keysOf(given), '2'])
  expect((await shown(job)).map(({ batch }) => batch)).toEqual(['0', '1', '2', given[2]?.batch])
})

it('reads the same in whatever order and parts samples come, and how often, in the view too', async () => {
  const few = fc.nat({ max: 2 })
  const drawn = fc.array(fc.tuple(few, few, few), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(drawn, fc.nat(), async (triples, split) => {
      const [one, other] = [newJob(), newJob()]
      const of = (job: string) => triples.map(([batch, second, pages]) => sample(job, String(batch), second, pages))
      await saveSamples(db, of(one))
      const turned = of(other).reverse()
      const at = split % (turned.length + 1)
      for (const part of [turned.slice(at), turned.slice(0, at), turned.slice(at)]) await saveSamples(db, part)
      const read = async (job: string) =>
        (await readSamples(db, job))
          .map((row) => ({ ...row, job_id: '' }))
          .sort((a, b) => Number(a.batch) - Number(b.batch))
      expect(await read(other)).toEqual(await read(one))
      expect((await shown(other)).map(({ data }) => ({ ...data, job_id: '' }))).toEqual(await read(one))
    }),
    { numRuns: 40 },
  )
})

it('keeps a sample with line breaks between its fields, and one that PostgreSQL cannot take apart', async () => {
  const job = newJob()
  const given = [
    { ...sample(job, '0'), details: { said: '\u0000 \ud800' } },
    { ...sample(job, '1'), details: { at: 'the end\n' } },
  ]
  await storeSamples(
    db,
    given.map((one) => sampleToStore(one, Buffer.from(JSON.stringify(one, null, 2)))),
  )
  expect(await readSamples(db, job)).toEqual(given)
})

it('lets two processes store the same samples at once', async () => {
  const jobs = [newJob(), newJob(), newJob()]
  const given = Array.from({ length: 300 }, (_, at) => sample(jobs[at % 3] as string, String(at)))
  await Promise.all([saveSamples(db, given), saveSamples(db, [...given].reverse()), saveSamples(db, given)])
  for (const job of jobs) expect(await readSamples(db, job)).toHaveLength(100)
})

it('lets no run be noted, and so none be judged, between its look at what is judged and its end', async () => {
  const wikiId = await createTestWiki(db)
  const jobId = await db.transaction(async (tx) => (await createJob(tx, { wikiId, options: {} }))?.id as string)
  const client = await db.pool.connect()
  try {
    // Holds up who stores right after that look.
    await client.query('begin')
    await client.query('lock table metric_sample_batches in share mode')
    const storing = saveSamples(db, [sample(jobId, '0')])
    await whenWaitingForLocks(db, 1)
    const noting = addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 1 })
    await whenWaitingForLocks(db, 2)
    await client.query('rollback')
    await Promise.all([storing, noting])
  } finally {
    client.release()
  }
  expect((await readDueRuns(db, 60, 10)).find((run) => run.jobId === jobId)).toMatchObject({ samples: 1 })
})

it('counts one for each key, whether it came once or more often', async () => {
  const wikiId = await createTestWiki(db)
  const jobId = await db.transaction(async (tx) => (await createJob(tx, { wikiId, options: {} }))?.id as string)
  await saveSamples(db, [sample(jobId, '0'), sample(jobId, '1'), sample(jobId, '0', 1)])
  await saveSamples(db, [sample(jobId, '1'), sample(jobId, '2')])
  await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 4 })
  expect((await readDueRuns(db, 60, 10)).find((run) => run.jobId === jobId)).toMatchObject({ samples: 3 })
})

it('reads the rows of one job, not all, for what the view shows of it', async () => {
  await db.pool.query(
    `insert into metric_sample_batches (job_id, keys, samples)
     select 'filler_' || i, 'embed/0', '{}' from generate_series(1, 5000) i`,
  )
  await db.pool.query('analyze metric_sample_batches')
  const { rows } = await db.pool.query(
    "explain (format json) select data from metric_samples where job_id = 'job_0' and stage = 'embed'",
  )
  expect(JSON.stringify(rows)).toContain('"Index Name":"metric_sample_batches_job_id_id_pk"')
})
