import type { MetricSample } from '@tagloom/contracts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from './database.ts'
import { readSamples, saveSamples } from './metric-samples.ts'
import { openTestDatabase } from './testing.ts'

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

it('keeps a sample as it came, and changes nothing at a second delivery, told of or not', async () => {
  const job = newJob()
  const given = [sample(job, '0'), sample(job, '1')]
  expect(await saveSamples(db, given)).toBe(2)
  expect(await readSamples(db, job)).toEqual(given)
  expect(await saveSamples(db, given)).toBe(0)
  expect(await saveSamples(db, given, { again: true })).toBe(0)
  expect(await saveSamples(db, [...given, sample(job, '2')])).toBe(1)
  expect((await readSamples(db, job)).map(({ batch }) => batch)).toEqual(['0', '1', '2'])
})

it('ends in the same rows in whatever order and parts samples come, and how often', async () => {
  const few = fc.nat({ max: 2 })
  const drawn = fc.array(fc.tuple(few, few, few), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(drawn, fc.nat(), fc.boolean(), async (triples, split, again) => {
      const [one, other] = [newJob(), newJob()]
      const of = (job: string) => triples.map(([batch, second, pages]) => sample(job, String(batch), second, pages))
      await saveSamples(db, of(one))
      const turned = of(other).reverse()
      const at = split % (turned.length + 1)
      for (const part of [turned.slice(at), turned.slice(0, at), turned.slice(at)])
        await saveSamples(db, part, { again })
      const rows = async (job: string) => (await readSamples(db, job)).map((row) => ({ ...row, job_id: '' }))
      expect(await rows(other)).toEqual(await rows(one))
    }),
    { numRuns: 40 },
  )
})

it('lets two processes store the same samples at once', async () => {
  const job = newJob()
  const given = Array.from({ length: 300 }, (_, at) => sample(job, String(at)))
  await Promise.all([
    saveSamples(db, given),
    saveSamples(db, [...given].reverse()),
    saveSamples(db, given, { again: true }),
  ])
  expect(await readSamples(db, job)).toHaveLength(300)
})
