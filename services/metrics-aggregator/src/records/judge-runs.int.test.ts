import { type AlertRule, defaultAlertRules, previewRule, qualityThresholds } from '@tagloom/contracts'
import {
  acknowledgeAlert,
  addForgottenEvaluations,
  addRunEvaluation,
  addSilence,
  type Database,
  expireRunData,
  listAlerts,
  readClusterMetrics,
  readDeliveries,
  readJob,
  readRecord,
  readRunTotals,
  readSeries,
  readTransitions,
  saveAlertRules,
  setBaseline,
} from '@tagloom/database'
import { createTestWiki, openTestDatabase, saveSamples } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { judgeByClock } from '../alerts/judge-clock.ts'
import { commitTo, completedJob, judgeDepsOn, type RunFigures, samplesOf } from '../testing.ts'
import { type JudgeDeps, judgeDueRuns, renewStaleRecords } from './judge-runs.ts'

let db: Database & { url: string }
let deps: JudgeDeps
let wikiId: number
const recorded: string[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  deps = judgeDepsOn(db, { onRecord: (record) => recorded.push(record.job_id as string) })
})
afterAll(() => db.close())
beforeEach(async () => {
  wikiId = await createTestWiki(db)
})

const store = (jobId: string, figures?: RunFigures, from = 0) =>
  saveSamples(db, samplesOf(wikiId, jobId, figures).slice(from))

async function run(figures?: RunFigures, options = {}): Promise<string> {
  const jobId = await completedJob(db, wikiId, options)
  await store(jobId, figures)
  await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 5 })
  await judgeDueRuns(deps)
  return jobId
}

const alerts = () => listAlerts(db, { wikiId, limit: 100 })
const outbox = async (): Promise<string[]> => {
  const { rows } = await db.pool.query('select message_id from outbox where subject like $1 order by id', [
    `tagloom.v1.${wikiId}.%`,
  ])
  return rows.map((row) => row.message_id)
}

describe('records', () => {
  it('stores the record of a completed job with its columns, once', async () => {
    const jobId = await run()
    expect(await judgeDueRuns(deps)).toBe(0)
    const record = await readRecord(db, jobId)
    expect(record?.coverage).toMatchObject({ pages_processed: 100, pages_tagged: 100, avg_tags_per_page: 3 })
    const { rows } = await db.pool.query('select * from clustering_metrics where job_id = $1', [jobId])
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({
      wiki_id: wikiId,
      cluster_count: 5,
      outlier_count: 10,
      silhouette_score: 0.5,
      total_errors: 0,
    })
    expect(recorded.filter((id) => id === jobId)).toHaveLength(1)
  })

  it('is not changed by a second delivery, and waits for samples that are on their way', async () => {
    const jobId = await completedJob(db, wikiId)
    await store(jobId, {}, 1)
    await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 5 })
    expect(await judgeDueRuns(deps)).toBe(0)
    await store(jobId)
    expect(await judgeDueRuns(deps)).toBe(1)
    const before = await readRecord(db, jobId)
    const rows = () => db.pool.query('select * from metric_sample_batches where job_id = $1 order by id', [jobId])
    const { rows: stored } = await rows()
    await store(jobId)
    await store(jobId, {}, 3)
    expect((await rows()).rows).toEqual(stored)
    expect(await renewStaleRecords(deps)).toBe(0)
    expect(await readRecord(db, jobId)).toEqual(before)
  })

  it('makes the same record when samples come after the wait is over', async () => {
    const jobId = await completedJob(db, wikiId)
    const completedAt = new Date(Date.now() - 10_000)
    await store(jobId, {}, 3)
    await addRunEvaluation(db, { jobId, wikiId, completedAt, expectedSamples: 5 })
    await judgeDueRuns({ ...deps, graceSeconds: 5 })
    expect((await readRecord(db, jobId))?.samples).toEqual({ received: 2, expected: 5 })
    await store(jobId)
    expect(await renewStaleRecords(deps)).toBe(1)
    const late = await readRecord(db, jobId)
    expect(late?.samples.received).toBe(5)
    expect(late?.quality.cluster_count).toBe(5)
    expect((await readRunTotals(db, wikiId)).runs).toBe(1)
    expect((await readRunTotals(db, wikiId)).totals.cluster_count).toEqual({ n: 1, sum: 5 })
  })

  it('judges the runs of a wiki in the order of their completion', async () => {
    const first = await completedJob(db, wikiId)
    const second = await completedJob(db, wikiId)
    await store(second)
    await addRunEvaluation(db, { jobId: second, wikiId, completedAt: new Date(2_000_000_000_000), expectedSamples: 5 })
    await addRunEvaluation(db, { jobId: first, wikiId, completedAt: new Date(1_999_999_999_000), expectedSamples: 5 })
    expect(await judgeDueRuns(deps)).toBe(0)
    await store(first)
    expect(await judgeDueRuns(deps)).toBe(2)
    expect(recorded.slice(-2)).toEqual([first, second])
  })

  it('judges no run before one that completed earlier, also while nobody has noted that one', async () => {
    const first = await completedJob(db, wikiId)
    const second = await completedJob(db, wikiId)
    await store(first)
    await store(second)
    const note = async (jobId: string) => {
      const { endedAt } = (await readJob(db, jobId))!
      await addRunEvaluation(db, { jobId, wikiId, completedAt: endedAt!, expectedSamples: 5 })
    }
    await note(second)
    expect(await judgeDueRuns(deps)).toBe(0)
    await note(first)
    expect(await judgeDueRuns(deps)).toBe(2)
    expect(recorded.slice(-2)).toEqual([first, second])
    const third = await completedJob(db, wikiId)
    const fourth = await completedJob(db, wikiId)
    await store(fourth)
    await note(fourth)
    expect(await judgeDueRuns(deps)).toBe(0)
    await db.pool.query("update jobs set ended_at = now() - interval '30 days' where id = $1", [third])
    expect(await judgeDueRuns(deps), 'its message is lost').toBe(1)
  })

  it('answers cluster-metrics in its shape, with null before the first run', async () => {
    expect(await readClusterMetrics(db, wikiId)).toEqual({
      wiki_id: wikiId,
      latest_clustering: null,
      historical_trend: { avg_duration_seconds: null, avg_cluster_count: null, avg_quality_score: null },
    })
    await run({ silhouette: 0.4 })
    const last = await run({ silhouette: 0.6 })
    await run({ silhouette: 0.1 }, { dry_run: true })
    const answer = await readClusterMetrics(db, wikiId)
    expect(answer.latest_clustering).toMatchObject({
      job_id: last,
      quality: { cluster_count: 5, outlier_percentage: 10, silhouette_score: 0.6 },
      coverage: { pages_processed: 100, pages_tagged: 100, avg_tags_per_page: 3 },
      errors: { llm_failures: 0, parsing_errors: 0, total_errors: 0 },
    })
    expect(answer.historical_trend.avg_quality_score).toBeCloseTo(0.5)
    expect((await readClusterMetrics(db, wikiId, { window: 1 })).historical_trend.avg_quality_score).toBeCloseTo(0.6)
    expect((await readClusterMetrics(db, wikiId, { days: 1 })).historical_trend.avg_cluster_count).toBe(5)
  })

  it('gives a judgement and a sample that meet either the sample or a record to be made again', async () => {
    const jobId = await completedJob(db, wikiId)
    await store(jobId, {}, 1)
    await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(0), expectedSamples: 5 })
    const storing = Promise.withResolvers<void>()
    await judgeDueRuns({
      ...deps,
      samples: {
        ...deps.samples,
        read: async (wiki, job) => {
          const read = await deps.samples.read(wiki, job)
          // It comes when the judgement has read and has not committed, and waits for that.
          storing.resolve(store(jobId))
          return read
        },
      },
    })
    await storing.promise
    expect((await readRecord(db, jobId))?.samples.received).toBe(4)
    expect(await renewStaleRecords(deps)).toBe(1)
    expect((await readRecord(db, jobId))?.samples.received).toBe(5)
  })

  it('keeps by count and age, but never loses the last run or the baseline', async () => {
    const jobs = [await run(), await run(), await run(), await run()]
    await db.transaction((tx) => setBaseline(tx, wikiId, jobs[0] as string, 'test'))
    const kept = { days: 365, runsPerWiki: 2, judgedDays: 8 }
    await expireRunData(db, kept)
    const left = async () => {
      const records = await Promise.all(jobs.map((id) => readRecord(db, id)))
      return records.map((record) => record !== undefined)
    }
    expect(await left()).toEqual([true, false, true, true])
    expect((await readRunTotals(db, wikiId)).runs).toBe(3)
    const byJob = async (table: string) => {
      const { rows } = await db.pool.query(`select distinct job_id from ${table} where wiki_id = $1`, [wikiId])
      return jobs.map((id) => rows.some((row) => row.job_id === id))
    }
    expect(await byJob('metric_samples')).toEqual([true, false, true, true])
    // The mark that it was judged outlives its record: without it the job would be found again, and judged anew.
    expect(await byJob('run_evaluations')).toEqual([true, true, true, true])
    await addForgottenEvaluations(db, 7)
    expect(await judgeDueRuns(deps)).toBe(0)

    const age = async (days: number) => {
      for (const [table, column] of [
        ['clustering_metrics', 'created_at'],
        ['run_evaluations', 'completed_at'],
        ['metric_sample_batches', 'recorded_at'],
      ])
        await db.pool.query(
          `update ${table} set ${column} = ${column} - $2 * interval '1 day' where job_id = any($1)`,
          [jobs, days],
        )
    }
    await age(9)
    await expireRunData(db, kept)
    expect(await byJob('run_evaluations')).toEqual([true, false, true, true])
    await age(391)
    await expireRunData(db, { ...kept, runsPerWiki: 0 })
    expect(await left()).toEqual([true, false, false, true])
    expect(await byJob('run_evaluations')).toEqual([false, false, false, false])
    expect(await byJob('metric_samples')).toEqual([false, false, false, false])
    expect((await readRunTotals(db, wikiId)).totals.cluster_count).toEqual({ n: 2, sum: 10 })
  })

  it('does not bring a removed record back when a sample comes late', async () => {
    const gone = await run()
    await run()
    await expireRunData(db, { days: 365, runsPerWiki: 1, judgedDays: 8 })
    expect(await readRecord(db, gone)).toBeUndefined()
    await store(gone)
    expect(await renewStaleRecords(deps)).toBe(0)
    expect(await readRecord(db, gone)).toBeUndefined()
  })

  it('keeps resolved alerts by count and age too, and open ones always', async () => {
    const insert = (open: boolean, at: string) =>
      db.pool.query(
        `insert into alerts (wiki_id, rule, severity, state, metric, threshold, message, action, open, resolved_at)
         values ($1, 'rule', 'info', $2, 'cluster_count', 1, 'm', 'a', $3, $4)`,
        [wikiId, open ? 'firing' : 'resolved', open, open ? null : at],
      )
    const recently = new Date().toISOString()
    await insert(false, '2020-01-01T00:00:00Z')
    for (let i = 0; i < 3; i++) await insert(false, recently)
    await insert(true, '')
    const states = async () => (await alerts()).map((alert) => alert.state).sort()
    await expireRunData(db, { days: 365, runsPerWiki: 0, judgedDays: 8 })
    expect(await states()).toEqual(['firing', 'resolved', 'resolved', 'resolved'])
    await expireRunData(db, { days: 365, runsPerWiki: 2, judgedDays: 8 })
    expect(await states()).toEqual(['firing', 'resolved', 'resolved'])
  })
})

describe('alerts', () => {
  it('fires each of the three thresholds once, stays single, and resolves after two fine runs', async () => {
    const bad = { silhouette: 0.1, outliers: 40, tagsPerPage: 1 }
    // Durations of jobs that take milliseconds are noise: their rule may say what it likes.
    const ofQuality = async () =>
      (await alerts()).filter((alert) => (qualityThresholds as readonly string[]).includes(alert.rule))
    const states = async () => (await ofQuality()).map((alert) => `${alert.rule} ${alert.state}`).sort()
    for (let i = 0; i < 3; i++) await run(bad)
    const firing = ['outliers-high firing', 'silhouette-low firing', 'tags-per-page-low firing']
    expect(await states()).toEqual(firing)
    await run()
    expect(await states()).toEqual(firing)
    await run()
    expect(await states()).toEqual(firing.map((state) => state.replace('firing', 'resolved')))
    const over = await ofQuality()
    const [one] = over.filter((alert) => alert.rule === 'silhouette-low')
    expect(
      (await readTransitions(db, [one?.id as number])).map((step) => [step.fromState, step.toState, step.by]),
    ).toEqual([
      [null, 'firing', 'aggregator'],
      ['firing', 'resolved', 'aggregator'],
    ])
    const sent = (await outbox()).filter((id) => id.startsWith(`alert.${one?.id}.`))
    expect(sent).toEqual([`alert.${one?.id}.raised`, `alert.${one?.id}.resolved`])
  })

  it('makes one alert of a metric that flaps for 20 runs', async () => {
    for (let i = 0; i < 20; i++) await run({ silhouette: i % 2 ? 0.25 : 0.15 })
    expect((await alerts()).filter((alert) => alert.rule === 'silhouette-low')).toHaveLength(1)
  })

  it('are the ones that a preview of their rule over the same runs tells of', async () => {
    const rule = { ...defaultAlertRules[0]!, runs_before_firing: 2 }
    const rules: AlertRule[] = [
      rule,
      { ...rule, rule: 'fell', measure: 'baseline_change_percent', firing: -20, clearing: -5 },
    ]
    await db.transaction((tx) => saveAlertRules(tx, wikiId, rules, 'ann'))
    // Of a fixed linear congruence: about a third below firing, some between the two values, some above
    for (let i = 0, state = 7; i < 40; i++) {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      await run({ silhouette: 0.1 + (state / 2_147_483_648) * 0.25 })
    }
    const series = await readSeries(db, wikiId, 100)
    for (const each of rules) {
      const told = previewRule(each, series, null).flatMap((past) =>
        past.told ? [`${past.told} by ${past.job_id}`] : [],
      )
      const happened = (await alerts())
        .filter((alert) => alert.rule === each.rule && alert.raisedAt)
        .map(async (alert) =>
          (await readTransitions(db, [alert.id]))
            .filter((step) => step.toState === 'firing' || step.toState === 'resolved')
            .map((step) => `${step.toState === 'firing' ? 'raised' : 'resolved'} by ${step.jobId}`),
        )
      expect((await Promise.all(happened.reverse())).flat()).toEqual(told)
      expect(told.length).toBeGreaterThan(2)
    }
  })

  it('raises nothing for a dry run', async () => {
    await run({ silhouette: 0.1 }, { dry_run: true })
    expect(await alerts()).toEqual([])
  })

  it('is judged once when several replicas look at once', async () => {
    const jobId = await completedJob(db, wikiId)
    await store(jobId, { silhouette: 0.1 })
    await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 5 })
    const judged = await Promise.all([judgeDueRuns(deps), judgeDueRuns(deps), judgeDueRuns(deps)])
    expect(judged.reduce((a, b) => a + b, 0)).toBe(1)
    expect(await alerts()).toHaveLength(1)
  })

  it('stays silenced until the silence ends, then fires once', async () => {
    await db.transaction((tx) =>
      addSilence(tx, {
        wikiId,
        rule: 'silhouette-low',
        reason: 'rebuilding',
        createdBy: 'ann',
        endsAt: new Date(Date.now() + 60_000),
      }),
    )
    await run({ silhouette: 0.1 })
    expect((await alerts())[0]?.state).toBe('silenced')
    expect(await outbox()).toEqual([])
    await db.pool.query('update alert_silences set ends_at = now() where wiki_id = $1', [wikiId])
    await judgeByClock(db, commitTo(db))
    await judgeByClock(db, commitTo(db))
    const [alert] = await alerts()
    expect(alert?.state).toBe('firing')
    expect(await outbox()).toEqual([`alert.${alert?.id}.raised`])
  })

  it('is acknowledged once, and resolves from there', async () => {
    await run({ silhouette: 0.1 })
    const id = (await alerts())[0]?.id as number
    for (let i = 0; i < 2; i++) await db.transaction((tx) => acknowledgeAlert(tx, id, 'ann'))
    await run({ silhouette: 0.1 })
    expect((await alerts())[0]?.state).toBe('acknowledged')
    await run()
    await run()
    expect((await readTransitions(db, [id])).map((step) => `${step.toState} by ${step.by}`)).toEqual([
      'firing by aggregator',
      'acknowledged by ann',
      'resolved by aggregator',
    ])
    expect(await db.transaction((tx) => acknowledgeAlert(tx, id, 'ann'))).toEqual({ refused: 'resolved' })
  })

  it('fires against the pinned baseline, and closes an alert whose rule is gone', async () => {
    const baseline = await run({ outliers: 10 })
    await db.transaction((tx) => setBaseline(tx, wikiId, baseline, 'ann'))
    const rule: AlertRule = {
      rule: 'more-outliers',
      enabled: true,
      metric: 'outlier_percentage',
      measure: 'baseline_change_percent',
      comparison: 'above',
      firing: 50,
      clearing: 20,
      runs_before_firing: 1,
      runs_before_clearing: 1,
      severity: 'critical',
      message: '{value} % more than {baseline}',
      action: 'look',
    }
    await db.transaction((tx) => saveAlertRules(tx, wikiId, [rule], 'ann'))
    await run({ outliers: 20 })
    expect((await alerts())[0]).toMatchObject({ state: 'firing', message: '100 % more than 10', value: 100 })
    await db.transaction((tx) => saveAlertRules(tx, wikiId, [], 'ann'))
    await run({ outliers: 20 })
    expect((await alerts())[0]).toMatchObject({ state: 'resolved' })
    expect(await readDeliveries(db, [(await alerts())[0]?.id as number])).toEqual([])
  })

  it('is over within a minute of its rule being dropped, which the silence that ends then does not raise', async () => {
    await run({ silhouette: 0.1 })
    const told = (await alerts())[0]?.id as number
    const tx = db.transaction.bind(db)
    const silence = {
      wikiId,
      rule: 'outliers-high',
      reason: 'r',
      createdBy: 'ann',
      endsAt: new Date(Date.now() + 60_000),
    }
    await tx((within) => addSilence(within, silence))
    await run({ silhouette: 0.1, outliers: 40 })
    expect((await alerts()).map((alert) => `${alert.rule} ${alert.state}`)).toEqual([
      'outliers-high silenced',
      'silhouette-low firing',
    ])
    await tx((within) => saveAlertRules(within, wikiId, [], 'ann'))
    await db.pool.query('update alert_silences set ends_at = now() where wiki_id = $1', [wikiId])
    for (let i = 0; i < 2; i++) await judgeByClock(db, commitTo(db))
    expect((await alerts()).map((alert) => alert.state)).toEqual(['resolved', 'resolved'])
    expect(await outbox()).toEqual([`alert.${told}.raised`, `alert.${told}.resolved`])
    expect((await readTransitions(db, [told])).at(-1)).toMatchObject({ toState: 'resolved', by: 'ann' })
  })

  it('without a run to come is over as well when the rule of the clock is dropped', async () => {
    await run()
    await db.pool.query("update jobs set ended_at = now() - interval '20 days' where wiki_id = $1", [wikiId])
    await judgeByClock(db, commitTo(db))
    expect((await alerts())[0]).toMatchObject({ rule: 'no-recent-run', state: 'firing' })
    await db.transaction((tx) => saveAlertRules(tx, wikiId, [], 'ann'))
    await judgeByClock(db, commitTo(db))
    expect((await alerts())[0]).toMatchObject({ rule: 'no-recent-run', state: 'resolved' })
  })

  it('follows its rule to other values while it is open, and ends where the rule becomes another', async () => {
    const [rule] = defaultAlertRules
    const edit = (more: Partial<AlertRule>) =>
      db.transaction((tx) => saveAlertRules(tx, wikiId, [{ ...rule!, ...more }], 'ann'))
    await run({ silhouette: 0.1 })
    await edit({ firing: 0.3, clearing: 0.4, action: 'other' })
    await run({ silhouette: 0.25 })
    expect(await alerts()).toMatchObject([{ state: 'firing', threshold: 0.3, action: 'other', severity: 'warning' }])
    await edit({ firing: 0.3, clearing: 0.4, severity: 'critical' })
    await run({ silhouette: 0.25 })
    expect(await alerts()).toMatchObject([
      { state: 'firing', severity: 'critical' },
      { state: 'resolved', severity: 'warning' },
    ])
  })

  it('that a silence held back carries the request of its job when it fires', async () => {
    const silence = { wikiId, rule: null, reason: 'r', createdBy: 'ann', endsAt: new Date(Date.now() + 60_000) }
    await db.transaction((tx) => addSilence(tx, silence))
    const jobId = await completedJob(db, wikiId, {}, { requestId: 'asked-by-ann' })
    await store(jobId, { silhouette: 0.1 })
    await addRunEvaluation(db, { jobId, wikiId, completedAt: new Date(), expectedSamples: 5 })
    await judgeDueRuns(deps)
    await db.pool.query('update alert_silences set ends_at = now() where wiki_id = $1', [wikiId])
    await judgeByClock(db, commitTo(db))
    const { rows } = await db.pool.query('select body from outbox where subject like $1', [
      `tagloom.v1.${wikiId}.alert.raised.%`,
    ])
    expect(rows.map((row) => JSON.parse(row.body).requestid)).toEqual(['asked-by-ann'])
  })

  it('fires for a wiki that never had a run since it was made', async () => {
    await db.pool.query("update wikis set created_at = now() - interval '20 days' where id = $1", [wikiId])
    await judgeByClock(db, commitTo(db))
    expect(await alerts()).toMatchObject([{ rule: 'no-recent-run', state: 'firing', value: expect.closeTo(20, 1) }])
  })

  it('fires for a wiki without a run for long, and resolves after one', async () => {
    await run()
    await judgeByClock(db, commitTo(db))
    expect(await alerts()).toEqual([])
    await db.pool.query("update jobs set ended_at = now() - interval '20 days' where wiki_id = $1", [wikiId])
    await judgeByClock(db, commitTo(db))
    await judgeByClock(db, commitTo(db))
    expect((await alerts()).map((alert) => [alert.rule, alert.state])).toEqual([['no-recent-run', 'firing']])
    await run()
    await judgeByClock(db, commitTo(db))
    expect((await alerts()).map((alert) => alert.state)).toEqual(['resolved'])
  })
})
