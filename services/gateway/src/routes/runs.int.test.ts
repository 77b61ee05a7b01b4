import { type AlertRule, defaultAlertRules, type JobOptions, metricList } from '@tagloom/contracts'
import { madeUpRecord } from '@tagloom/contracts/testing'
import { applyStep, cancelJob, completeJob, createJob, readJob, saveRecord, startNextJob } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { openLiveRecords } from '@tagloom/service-kit/live-records'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestGateway, type TestGateway } from '../testing.ts'

let gateway: TestGateway
let key: string
let wiki: number

beforeAll(async () => {
  gateway = await openTestGateway()
  key = await gateway.key(['write'])
})
afterAll(() => gateway.close())
beforeEach(async () => {
  wiki = await createTestWiki(gateway.deps.db)
})

async function run(
  figures: Record<string, number | null> = {},
  options: JobOptions = {},
  at = new Date(),
): Promise<string> {
  const { db } = gateway.deps
  const id = await db.transaction(async (tx) => {
    const job = await createJob(tx, { wikiId: wiki, options })
    await startNextJob(tx, wiki)
    return job?.id as string
  })
  await db.transaction((tx) => completeJob(tx, id, {}))
  await db.transaction((tx) => saveRecord(tx, madeUpRecord({ wikiId: wiki, jobId: id, at, options, figures })))
  return id
}

const get = (path: string) => gateway.call(key, 'GET', path)
const ofWiki = (path: string) => get(`/api/wikis/${wiki}${path}`)

describe('runs', () => {
  it('lists them newest first, pages through them, and sorts and filters by any metric', async () => {
    const day = (n: number) => new Date(Date.UTC(2026, 0, n))
    const ids = [
      await run({ silhouette_score: 0.3 }, {}, day(1)),
      await run({ silhouette_score: null }, {}, day(2)),
      await run({ silhouette_score: 0.1 }, {}, day(3)),
    ]
    const list = async (query: string) => (await ofWiki(`/runs${query}`)).body
    const idsOf = (body: { items: { job_id: string }[] }) => body.items.map((item) => item.job_id)
    expect(idsOf(await list(''))).toEqual([ids[2], ids[1], ids[0]])
    const first = await list('?limit=2')
    expect(idsOf(await list(`?limit=2&cursor=${first.next_cursor}`))).toEqual([ids[0]])
    expect(idsOf(await list('?sort=silhouette_score&order=asc'))).toEqual([ids[2], ids[0], ids[1]])
    const best = await list('?sort=silhouette_score&limit=1')
    expect(idsOf(best)).toEqual([ids[0]])
    expect(idsOf(await list(`?sort=silhouette_score&cursor=${best.next_cursor}`))).toEqual([ids[2], ids[1]])
    expect(idsOf(await list('?metric=silhouette_score&min=0.2'))).toEqual([ids[0]])
    expect(idsOf(await list('?since=2026-01-02T00:00:00Z&until=2026-01-02T12:00:00Z'))).toEqual([ids[1]])
    expect((await ofWiki('/runs?min=1')).body.code).toBe('validation_failed')
    expect((await ofWiki('/runs?sort=colour')).status).toBe(400)
  })

  it('exports every run as CSV and NDJSON', async () => {
    const id = await run({ silhouette_score: 0.25, avg_llm_latency_ms: null })
    await run()
    const csv = await ofWiki('/runs?format=csv&limit=1')
    expect(csv.headers['content-type']).toContain('text/csv')
    const lines = csv.body
      .trim()
      .split('\r\n')
      .map((line: string) => line.split(','))
    expect(lines).toHaveLength(3)
    expect(lines.every((line: string[]) => line.length === metricList.length + 3)).toBe(true)
    const at = lines[0].indexOf('silhouette_score')
    expect(lines.find((line: string[]) => line[0] === id)[at]).toBe('0.25')
    const ndjson = (await ofWiki('/runs?format=ndjson')).body.trim().split('\n')
    expect(
      ndjson.map((line: string) => JSON.parse(line)).find((item: { job_id: string }) => item.job_id === id).figures,
    ).toMatchObject({
      silhouette_score: 0.25,
      avg_llm_latency_ms: null,
    })
  })

  it('puts two runs side by side, better or worse by the direction of each metric', async () => {
    const a = await run({ silhouette_score: 0.2, outlier_percentage: 20, cluster_count: 10 }, { seed: 1 })
    const b = await run({ silhouette_score: 0.3, outlier_percentage: 30, cluster_count: 12 }, { seed: 2 })
    const { status, body } = await get(`/api/jobs/${a}/compare/${b}`)
    expect(status).toBe(200)
    const of = (name: string) => body.metrics.find((metric: { metric: string }) => metric.metric === name)
    expect(of('silhouette_score')).toMatchObject({ a: 0.2, b: 0.3, verdict: 'better' })
    expect(of('silhouette_score').change_percent).toBeCloseTo(50)
    expect(of('outlier_percentage').verdict).toBe('worse')
    expect(of('cluster_count').verdict).toBe('different')
    expect(of('pages_processed').verdict).toBe('same')
    expect(body.like_with_like).toBe(false)
    expect(body.settings.find((setting: { name: string }) => setting.name === 'seed')).toMatchObject({
      a: 1,
      b: 2,
      same: false,
    })
  })

  it('gives the record of a job, with the thresholds that it crosses', async () => {
    const id = await run({ silhouette_score: 0.1, outlier_percentage: 5, avg_tags_per_page: 3 })
    const { body } = await get(`/api/jobs/${id}/metrics`)
    expect(body).toMatchObject({ live: false, record: { job_id: id, quality: { silhouette_score: 0.1 } } })
    expect(body.quality_alerts.map((alert: { rule: string }) => alert.rule)).toEqual(['silhouette-low'])
    expect((await get('/api/jobs/none/metrics')).body.code).toBe('job_not_found')
  })

  it('gives the live record of a job that runs as it stands now, between two samples as well', async () => {
    const { db, bus } = gateway.deps
    const live = await openLiveRecords({ bus, redisUrl: '', ttlSeconds: 60 })
    const job = await db.transaction(async (tx) => {
      await createJob(tx, { wikiId: wiki, options: {} })
      return (await startNextJob(tx, wiki))!
    })
    const figures = { total_pipeline_duration_seconds: 1, pages_processed: 60 }
    await live.put({ ...madeUpRecord({ wikiId: wiki, jobId: job.id, at: new Date(), figures }), status: 'running' })
    await db.pool.query("update jobs set started_at = now() - interval '30 seconds' where id = $1", [job.id])
    const { live: isLive, record } = (await get(`/api/jobs/${job.id}/metrics`)).body
    expect(isLive).toBe(true)
    expect(record.performance.total_pipeline_duration_seconds).toBeGreaterThan(29.9)
    expect(record.performance.pages_per_second).toBeCloseTo(60 / record.performance.total_pipeline_duration_seconds, 9)
    await db.transaction((tx) => cancelJob(tx, job.id))
    const { startedAt, endedAt } = (await readJob(db, job.id))!
    expect((await get(`/api/jobs/${job.id}/metrics`)).body.record).toMatchObject({
      status: 'cancelled',
      performance: { total_pipeline_duration_seconds: (endedAt!.getTime() - startedAt!.getTime()) / 1000 },
    })
  })

  it('refuses the record of a job to who may not see its wiki, also right after somebody who may', async () => {
    const id = await run({ silhouette_score: 0.1 })
    const url = `/api/jobs/${id}/metrics`
    const stranger = await gateway.key(['read'], [await createTestWiki(gateway.deps.db)])
    const owner = await gateway.key(['read'], [wiki])
    const statuses = await Promise.all(
      [stranger, owner, key].map(async (by) => (await gateway.call(by, 'GET', url)).status),
    )
    expect(statuses).toEqual([403, 200, 200])
    expect((await gateway.call(stranger, 'GET', url)).body.code).toBe('wiki_forbidden')
    const queued = await gateway.deps.db.transaction((tx) => createJob(tx, { wikiId: wiki, options: {} }))
    const codeFor = async (by: string) => (await gateway.call(by, 'GET', `/api/jobs/${queued?.id}/metrics`)).body.code
    expect([await codeFor(stranger), await codeFor(owner)]).toEqual(['wiki_forbidden', 'job_not_found'])
  })

  it('never answers with trends of before a run, a baseline or a removal', async () => {
    const trend = async () => {
      const { body } = await ofWiki('/trends?window=5')
      const metric = body.metrics.find((one: { metric: string }) => one.metric === 'silhouette_score')
      return [body.runs, metric.last, metric.baseline?.value ?? null]
    }
    expect(await trend()).toEqual([0, null, null])
    const first = await run({ silhouette_score: 0.1 })
    expect(await trend()).toEqual([1, 0.1, null])
    const second = await run({ silhouette_score: 0.2 })
    expect(await trend()).toEqual([2, 0.2, null])
    await gateway.call(key, 'PUT', `/api/wikis/${wiki}/baseline`, { job_id: first })
    expect(await trend()).toEqual([2, 0.2, 0.1])
    await gateway.deps.db.pool.query('delete from clustering_metrics where job_id = $1', [second])
    expect(await trend()).toEqual([1, 0.1, 0.1])
    await gateway.call(key, 'PUT', `/api/wikis/${wiki}/baseline`, { job_id: null })
    expect(await trend()).toEqual([1, 0.1, null])
  })

  it('says where each metric is going, and how the last run stands to the baseline', async () => {
    const ids: string[] = []
    for (let i = 0; i < 10; i++) ids.push(await run({ silhouette_score: 0.3 + i / 100, outlier_percentage: 20 + i }))
    await gateway.call(key, 'PUT', `/api/wikis/${wiki}/baseline`, { job_id: ids[0] })
    const { body } = await ofWiki('/trends?window=9')
    const of = (name: string) => body.metrics.find((metric: { metric: string }) => metric.metric === name)
    expect(body).toMatchObject({ runs: 9, runs_recorded: 10, baseline_job_id: ids[0] })
    expect(of('silhouette_score')).toMatchObject({
      n: 9,
      tau: 1,
      trend: 'improving',
      enough_data: true,
      baseline: { value: 0.3, verdict: 'better' },
    })
    expect(of('silhouette_score').slope).toBeCloseTo(0.01)
    expect(of('outlier_percentage')).toMatchObject({ trend: 'worsening', baseline: { verdict: 'worse' } })
    expect(of('pages_tagged').trend).toBe('steady')
    const averages = (await get(`/api/tags/cluster-metrics/${wiki}?window=2`)).body.historical_trend
    expect(averages.avg_quality_score).toBeCloseTo(0.385)
    expect((await gateway.call(key, 'PUT', `/api/wikis/${wiki}/baseline`, { job_id: 'none' })).status).toBe(404)
  })
})

describe('alert rules', () => {
  const rule = defaultAlertRules[0] as AlertRule
  const put = (rules: unknown) => gateway.call(key, 'PUT', `/api/wikis/${wiki}/alert-rules`, { rules })

  it('are the default rules until the wiki has its own, and again when they are dropped', async () => {
    expect((await ofWiki('/alert-rules')).body).toMatchObject({ is_default: true, updated_by: null })
    expect((await put([rule])).body).toMatchObject({ is_default: false, rules: [rule], updated_by: 'key write' })
    await gateway.call(key, 'DELETE', `/api/wikis/${wiki}/alert-rules`)
    expect((await ofWiki('/alert-rules')).body.rules).toHaveLength(defaultAlertRules.length)
  })

  it('are refused with the path of what is wrong', async () => {
    const { status, body } = await put([rule, { ...rule, clearing: 0.1 }])
    expect(status).toBe(400)
    expect(body.detail).toContain('body/rules/1/rule')
    expect(body.detail).toContain('body/rules/1/clearing expected at least firing (0.2)')
    expect((await put([{ ...rule, firing: 'low' }])).body.errors[0].path).toBe('body/rules/0/firing')
    expect((await put([{ ...rule, metric: 'colour' }])).body.errors[0].path).toBe('body/rules/0/metric')
  })

  it('can be tried against past runs before they are saved', async () => {
    for (const silhouette_score of [0.5, 0.1, 0.1, 0.5, 0.5, 0.1]) await run({ silhouette_score })
    const { body } = await gateway.call(key, 'POST', `/api/wikis/${wiki}/alert-rules/preview`, { rule })
    expect(body.raised).toBe(2)
    expect(body.runs.map((past: { told: string | null }) => past.told)).toEqual([
      null,
      'raised',
      null,
      null,
      'resolved',
      'raised',
    ])
    expect((await ofWiki('/alerts')).body.items).toEqual([])
  })
})

describe('a preview of few runs', () => {
  const preview = async (rule: AlertRule, runs: number) =>
    (await gateway.call(key, 'POST', `/api/wikis/${wiki}/alert-rules/preview`, { rule, runs })).body

  it('has the baseline and the open alert that the runs before them had made', async () => {
    const of = (name: string) => defaultAlertRules.find((rule) => rule.rule === name) as AlertRule
    for (const silhouette_score of [0.8, 0.8, 0.8, 0.5, 0.1, 0.1]) await run({ silhouette_score })
    const regressed = await preview(of('quality-regressed'), 3)
    expect(regressed.runs).toMatchObject([
      { baseline: 0.8, state: 'firing', told: 'raised' },
      { baseline: 0.8, state: 'firing', told: null },
      { baseline: 0.8, state: 'firing', told: null },
    ])
    expect(await preview(of('silhouette-low'), 1)).toMatchObject({ raised: 0, runs: [{ state: 'firing', told: null }] })
  })
})

describe('alerts', () => {
  const rule = defaultAlertRules[0] as AlertRule
  const raise = () =>
    gateway.deps.db.transaction((tx) =>
      applyStep(tx, {
        wikiId: wiki,
        rule,
        row: undefined,
        step: { alert: { state: 'firing', runsCrossed: 1, runsClear: 0, raised: true }, to: 'firing', tell: 'raised' },
        value: 0.1,
        message: 'low',
        jobId: 'job',
        by: 'aggregator',
      }),
    )

  it('are listed with their transitions, and acknowledged once by somebody', async () => {
    const alert = await raise()
    expect((await ofWiki('/alerts?state=firing')).body.items).toMatchObject([
      { id: alert?.id, rule: rule.rule, transitions: [{ from: null, to: 'firing', by: 'aggregator' }] },
    ])
    for (let i = 0; i < 2; i++) {
      const { body } = await gateway.call(key, 'POST', `/api/alerts/${alert?.id}/ack`)
      expect(body).toMatchObject({ state: 'acknowledged', transitions: [{}, { to: 'acknowledged', by: 'key write' }] })
    }
    expect((await ofWiki('/alerts?state=firing')).body.items).toEqual([])
    expect((await get(`/api/alerts/${alert?.id}`)).body.deliveries).toEqual([])
    expect((await get('/api/alerts/999999')).body.code).toBe('alert_not_found')
  })

  it('are hidden from keys of other wikis', async () => {
    const alert = await raise()
    const other = await gateway.key(['write'], [wiki + 1])
    expect((await gateway.call(other, 'POST', `/api/alerts/${alert?.id}/ack`)).status).toBe(403)
    expect((await gateway.call(other, 'GET', `/api/wikis/${wiki}/alerts`)).status).toBe(403)
  })

  it('are silenced until a time', async () => {
    const alert = await raise()
    const silences = `/api/wikis/${wiki}/silences`
    const ends_at = new Date(Date.now() + 60_000).toISOString()
    const made = await gateway.call(key, 'POST', silences, { reason: 'rebuilding', ends_at })
    expect(made).toMatchObject({ status: 201, body: { reason: 'rebuilding', rule: null, created_by: 'key write' } })
    expect((await get(`/api/alerts/${alert?.id}`)).body.state).toBe('silenced')
    expect((await gateway.call(key, 'DELETE', `${silences}/${made.body.id}`)).status).toBe(204)
    expect((await get(silences)).body.items).toEqual([])
    expect((await gateway.call(key, 'DELETE', `${silences}/${made.body.id}`)).body.code).toBe('silence_not_found')
    const unknown = await gateway.call(key, 'POST', silences, { rule: 'silhouete-low', reason: 'x', ends_at })
    expect(unknown).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(unknown.body.detail).toMatch(
      /^body\/rule expected a rule of the wiki \(silhouette-low, .*, got silhouete-low$/,
    )
    const past = new Date(Date.now() - 1_000).toISOString()
    expect((await gateway.call(key, 'POST', silences, { reason: 'x', ends_at: past })).status).toBe(400)
  })
})
