import { describe, expect, it } from 'vitest'
import {
  alertMessage,
  checkQualityThresholds,
  type OpenAlert,
  observe,
  previewRule,
  stepAlert,
} from './alert-evaluation.ts'
import { type AlertRule, defaultAlertRules } from './alert-rules.ts'

const silhouette = defaultAlertRules.find((rule) => rule.rule === 'silhouette-low') as AlertRule
const duration = defaultAlertRules.find((rule) => rule.rule === 'duration-regressed') as AlertRule

/** Runs a rule over values; `S` before a value means that a silence holds. */
function play(rule: AlertRule, values: readonly (number | null)[], silenced: (run: number) => boolean = () => false) {
  let alert: OpenAlert | undefined
  return values.map((value, run) => {
    const step = stepAlert(rule, alert, { value, baseline: null }, silenced(run))
    alert = step.alert
    return { state: alert?.state, to: step.to, tell: step.tell }
  })
}

const told = (steps: ReturnType<typeof play>) => steps.flatMap((step) => step.tell ?? [])

describe('the life of an alert', () => {
  it('fires once however often the rule is crossed, and resolves after two fine runs', () => {
    const steps = play(silhouette, [0.1, 0.1, 0.05, 0.3, 0.3, 0.3])
    expect(told(steps)).toEqual(['raised', 'resolved'])
    expect(steps.map((step) => step.state)).toEqual(['firing', 'firing', 'firing', 'firing', undefined, undefined])
  })

  it('makes one alert of a metric that flaps twenty times', () => {
    const flapping = Array.from({ length: 40 }, (_, run) => (run % 2 ? 0.25 : 0.15))
    expect(told(play(silhouette, flapping))).toEqual(['raised'])
    const naive = { ...silhouette, clearing: 0.2, runs_before_clearing: 1 }
    expect(told(play(naive, flapping)).filter((event) => event === 'raised')).toHaveLength(20)
  })

  it('stays firing between the clearing and the firing value', () => {
    expect(told(play(silhouette, [0.1, 0.21, 0.21, 0.21, 0.21]))).toEqual(['raised'])
  })

  it('waits as pending until enough runs in a row crossed', () => {
    expect(play(duration, [150, 40, 150, 150]).map((step) => step.to)).toEqual([
      'pending',
      'resolved',
      'pending',
      'firing',
    ])
  })

  it('changes nothing by a run without the metric', () => {
    const steps = play(silhouette, [0.1, null, 0.3, null, 0.3])
    expect(steps.map((step) => step.state)).toEqual(['firing', 'firing', 'firing', 'firing', undefined])
  })

  it('tells nobody while a silence holds, and tells once when it fires after it', () => {
    const steps = play(silhouette, [0.1, 0.1, 0.1, 0.3, 0.3], (run) => run < 2)
    expect(steps.map((step) => step.state)).toEqual(['silenced', 'silenced', 'firing', 'firing', undefined])
    expect(told(steps)).toEqual(['raised', 'resolved'])
    expect(told(play(silhouette, [0.1, 0.3, 0.3], () => true))).toEqual([])
  })

  it('resolves for receivers an alert that was raised before the silence', () => {
    const steps = play(silhouette, [0.1, 0.1, 0.3, 0.3], (run) => run >= 1)
    expect(steps.map((step) => step.state)).toEqual(['firing', 'silenced', 'silenced', undefined])
    expect(told(steps)).toEqual(['raised', 'resolved'])
  })

  it('does not raise an acknowledged alert again', () => {
    const acknowledged: OpenAlert = { state: 'acknowledged', runsCrossed: 1, runsClear: 0, raised: true }
    const step = stepAlert(silhouette, acknowledged, { value: 0.1, baseline: null }, false)
    expect(step).toEqual({ alert: { ...acknowledged, runsCrossed: 2 } })
  })
})

describe('what a run says of a rule', () => {
  const run = (seconds: number | null) => ({ total_pipeline_duration_seconds: seconds })

  it('takes the median of the runs before as baseline, and none of fewer than three', () => {
    expect(observe(duration, run(300), [run(100), run(90)], null).value).toBeNull()
    expect(observe(duration, run(300), [run(100), run(90), run(110)], null)).toEqual({ value: 200, baseline: 100 })
  })

  it('takes the pinned run rather than the median', () => {
    expect(observe(duration, run(300), [run(300), run(300), run(300)], run(150))).toEqual({ value: 100, baseline: 150 })
  })

  it('measures a change against the magnitude of a negative baseline', () => {
    const rule = { ...silhouette, measure: 'baseline_change_percent' as const }
    const score = (silhouette_score: number) => ({ silhouette_score })
    expect(observe(rule, score(-0.2), [], score(-0.1)).value).toBeCloseTo(-100)
  })

  it('fills the message with rounded figures', () => {
    expect(alertMessage(duration, { value: 123.456, baseline: 100 })).toBe(
      'The job took 123.5 % longer than the baseline of 100 s, expected at most 100 %',
    )
  })

  it('checks a record against the three default thresholds', () => {
    const figures = { silhouette_score: 0.15, outlier_percentage: 30, avg_tags_per_page: 1.5 }
    expect(checkQualityThresholds(figures).map(({ rule, severity }) => [rule, severity])).toEqual([
      ['silhouette-low', 'warning'],
      ['tags-per-page-low', 'info'],
    ])
    expect(checkQualityThresholds({ silhouette_score: null })).toEqual([])
  })

  it('previews which past runs would have fired', () => {
    const runs = [0.3, 0.1, 0.1, 0.3, 0.3].map((silhouette_score, at) => ({
      jobId: `job_${at}`,
      at: new Date(at * 1000),
      figures: { silhouette_score },
    }))
    expect(previewRule(silhouette, runs, null).map(({ crossed, state, told }) => [crossed, state, told])).toEqual([
      [false, 'ok', null],
      [true, 'firing', 'raised'],
      [true, 'firing', null],
      [false, 'firing', null],
      [false, 'resolved', 'resolved'],
    ])
  })

  it('previews of the last runs what a preview of all of them ends with', () => {
    const runs = [0.8, 0.8, 0.8, 0.1, 0.21, 0.1, 0.3].map((silhouette_score, at) => ({
      jobId: `job_${at}`,
      at: new Date(at * 1000),
      figures: { silhouette_score },
    }))
    for (const rule of [
      silhouette,
      { ...silhouette, measure: 'baseline_change_percent' as const, firing: -20, clearing: -10 },
    ])
      for (const shown of [1, 3, 7, 20])
        expect(previewRule(rule, runs, null, shown)).toEqual(previewRule(rule, runs, null).slice(-shown))
  })
})
