import { type AlertRule, defaultAlertRules, type JobOptions, type MetricSample } from '@tagloom/contracts'
import { addRunEvaluation, type Database, listAlerts, readTransitions } from '@tagloom/database'
import { createTestWiki, openTestDatabase, saveSamples } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { judgeDueRuns } from '../records/judge-runs.ts'
import { commitTo, completedJob, judgeDepsOn, type RunFigures, samplesOf } from '../testing.ts'
import { judgeByClock } from './judge-clock.ts'

let db: Database & { url: string }
let wikiId: number
const runbookBase = 'https://example.org/tagloom/'
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
})

/** What a run is to be: figures of the samples, what the job took, and counters on top. */
interface Made extends RunFigures {
  readonly seconds?: number
  readonly counters?: Record<string, number>
  readonly tagged?: number
  readonly options?: JobOptions
}

async function run({ seconds = 10, counters = {}, tagged = 100, options = {}, ...figures }: Made = {}): Promise<void> {
  const jobId = await completedJob(db, wikiId, options)
  await db.pool.query("update jobs set started_at = ended_at - $2 * interval '1 second' where id = $1", [
    jobId,
    seconds,
  ])
  const samples = samplesOf(wikiId, jobId, figures).map((sample): MetricSample => {
    if (sample.stage === 'label') return { ...sample, counters: { ...sample.counters, ...counters } }
    if (sample.stage === 'propagate') return { ...sample, counters: { ...sample.counters, pages_tagged: tagged / 2 } }
    return sample
  })
  await saveSamples(db, samples)
  await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: samples.length })
  await judgeDueRuns(judgeDepsOn(db, { runbookBase }))
}

const alertsOf = (rule: string) => listAlerts(db, { wikiId, limit: 100, rule })
const rows = async (rule: string) => (await alertsOf(rule)).map((alert) => alert.state)
const outboxOf = async (alertId: number): Promise<string[]> => {
  const { rows } = await db.pool.query('select message_id from outbox where message_id like $1 order by id', [
    `alert.${alertId}.%`,
  ])
  return rows.map((row) => row.message_id)
}

/** By rule: a run that crosses it, and one that is fine again. A rule against the baseline has five usual runs before. */
const budget = { llm_budget_tokens: 1000 }
const cases: Record<string, { readonly bad: Made; readonly good: Made }> = {
  'silhouette-low': { bad: { silhouette: 0.19 }, good: { silhouette: 0.22 } },
  'outliers-high': { bad: { outliers: 31 }, good: { outliers: 27 } },
  'tags-per-page-low': { bad: { tagsPerPage: 1.9 }, good: { tagsPerPage: 2.2 } },
  'error-rate-high': { bad: { counters: { llm_failures: 6 } }, good: { counters: { llm_failures: 2 } } },
  'duration-regressed': { bad: { seconds: 21 }, good: { seconds: 15 } },
  'quality-regressed': { bad: { silhouette: 0.37 }, good: { silhouette: 0.43 } },
  'coverage-dropped': { bad: { tagged: 84 }, good: { tagged: 90 } },
  'llm-budget-high': {
    bad: { options: budget, counters: { llm_tokens_in: 910 } },
    good: { options: budget, counters: { llm_tokens_in: 750 } },
  },
}

it('has a case for every default rule that runs are put before', () => {
  const byRuns = defaultAlertRules.filter((rule) => rule.metric !== 'days_since_last_run')
  expect(Object.keys(cases).sort()).toEqual(byRuns.map((rule) => rule.rule).sort())
})

describe.each(Object.entries(cases))('%s', (name, { bad, good }) => {
  const rule = defaultAlertRules.find((one) => one.rule === name) as AlertRule

  it('fires once when runs cross it, stays single, and is resolved once by runs that are fine again', async () => {
    for (let i = 0; i < 5; i++) await run()
    expect(await rows(name)).toEqual([])
    for (let i = 1; i < rule.runs_before_firing; i++) {
      await run(bad)
      expect(await rows(name)).toEqual(['pending'])
    }
    await run(bad)
    expect(await rows(name)).toEqual(['firing'])
    await run(bad)
    expect(await rows(name)).toEqual(['firing'])
    for (let i = 1; i < rule.runs_before_clearing; i++) {
      await run(good)
      expect(await rows(name)).toEqual(['firing'])
    }
    await run(good)
    expect(await rows(name)).toEqual(['resolved'])
    await run(good)
    const [alert, ...others] = await alertsOf(name)
    expect(others).toEqual([])
    expect(alert).toMatchObject({
      severity: rule.severity,
      action: rule.action,
      runbook: `${runbookBase}docs/runbook.md#${name}`,
    })
    const steps = await readTransitions(db, [alert!.id])
    expect(steps.map((step) => step.toState)).toEqual([
      ...(rule.runs_before_firing > 1 ? ['pending'] : []),
      'firing',
      'resolved',
    ])
    for (const step of steps)
      expect(step).toMatchObject({ by: 'aggregator', createdAt: expect.any(Date), jobId: expect.any(String) })
    expect(await outboxOf(alert!.id)).toEqual([`alert.${alert!.id}.raised`, `alert.${alert!.id}.resolved`])
  })

  it('makes one alert at most of a metric that flaps for 20 runs', async () => {
    for (let i = 0; i < 5; i++) await run()
    for (let i = 0; i < 20; i++) await run(i % 2 ? good : bad)
    const raised = (await alertsOf(name)).filter((alert) => alert.raisedAt)
    // Where two runs in a row must cross, a flapping metric never fires; where one fine run resolves, nothing holds it together.
    const expected = rule.runs_before_firing > 1 ? 0 : rule.runs_before_clearing > 1 ? 1 : 10
    expect(raised).toHaveLength(expected)
  })
})

it('no-recent-run fires once by the clock and is resolved by the next run', async () => {
  await run()
  await db.pool.query("update jobs set ended_at = now() - interval '15 days' where wiki_id = $1", [wikiId])
  for (let i = 0; i < 3; i++) await judgeByClock(db, commitTo(db), { runbookBase })
  expect(await rows('no-recent-run')).toEqual(['firing'])
  expect((await alertsOf('no-recent-run'))[0]?.runbook).toBe(`${runbookBase}docs/runbook.md#no-recent-run`)
  await run()
  for (let i = 0; i < 3; i++) await judgeByClock(db, commitTo(db))
  const [alert] = await alertsOf('no-recent-run')
  expect((await readTransitions(db, [alert!.id])).map((step) => step.toState)).toEqual(['firing', 'resolved'])
})
