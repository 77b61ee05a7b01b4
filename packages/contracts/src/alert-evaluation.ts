import {
  type AlertRule,
  type AlertState,
  defaultAlertRules,
  isClockMetric,
  qualityThresholds,
  type Severity,
} from './alert-rules.ts'

/*
 * The life of an alert, counted in runs. One is open for each wiki and rule, however often the rule is crossed.
 *   (none) → pending → firing ⇄ acknowledged        pending: crossed, but not often enough in a row
 *              ↓         ⇅          ↓                silenced: fires, and a silence keeps receivers from hearing of it
 *           resolved ← silenced → resolved          resolved: fine for as many runs as the rule asks
 * A run between the clearing and the firing value, or without the metric, changes nothing but the counts of runs in a row.
 */

/** What one run says of one rule. */
export interface Observation {
  /** The measure that the rule compares; null when it cannot be known: no such metric in the run, or no baseline yet */
  readonly value: number | null
  readonly baseline: number | null
}

/** The open alert of a rule. */
export interface OpenAlert {
  readonly state: Exclude<AlertState, 'resolved'>
  /** Runs in a row that crossed, and that were fine */
  readonly runsCrossed: number
  readonly runsClear: number
  /** Whether receivers were told of it */
  readonly raised: boolean
}

export interface Step {
  /** The alert after the run; undefined when there is none, or no longer one */
  readonly alert: OpenAlert | undefined
  /** The state that it went to, if it changed */
  readonly to?: AlertState
  /** What receivers are to be told */
  readonly tell?: 'raised' | 'resolved'
}

const isCrossed = (rule: AlertRule, value: number): boolean =>
  rule.comparison === 'above' ? value > rule.firing : value < rule.firing

const isClear = (rule: AlertRule, value: number): boolean =>
  rule.comparison === 'above' ? value <= rule.clearing : value >= rule.clearing

/** The alert of a rule after one more run. */
export function stepAlert(rule: AlertRule, alert: OpenAlert | undefined, seen: Observation, silenced: boolean): Step {
  const { value } = seen
  if (value === null) return { alert }
  if (isCrossed(rule, value)) return crossed(rule, alert, silenced)
  if (!alert) return { alert: undefined }
  if (alert.state === 'pending') return { alert: undefined, to: 'resolved' }
  // Strictly inside the two values a firing alert neither clears nor starts anew. Where they are equal, not crossed is clear.
  const runsClear = isClear(rule, value) ? alert.runsClear + 1 : 0
  if (runsClear < rule.runs_before_clearing) return { alert: { ...alert, runsCrossed: 0, runsClear } }
  return { alert: undefined, to: 'resolved', ...(alert.raised ? { tell: 'resolved' } : {}) }
}

function crossed(rule: AlertRule, alert: OpenAlert | undefined, silenced: boolean): Step {
  const runsCrossed = (alert?.runsCrossed ?? 0) + 1
  const known = { runsCrossed, runsClear: 0, raised: alert?.raised ?? false }
  const state = alert?.state ?? 'pending'
  if (state === 'acknowledged' || (state === 'firing' && !silenced) || (state === 'silenced' && silenced))
    return { alert: { ...known, state } }
  if (state === 'pending' && runsCrossed < rule.runs_before_firing)
    return alert ? { alert: { ...known, state } } : { alert: { ...known, state }, to: 'pending' }
  if (silenced) return { alert: { ...known, state: 'silenced' }, to: 'silenced' }
  return {
    alert: { ...known, state: 'firing', raised: true },
    to: 'firing',
    ...(known.raised ? {} : { tell: 'raised' }),
  }
}

type Figures = Readonly<Record<string, number | null>>

export const baselineRuns = 10
const minBaselineRuns = 3

/**
 * What a run says of a rule.
 * @param before figures of the runs before it, oldest first; the last ten make the baseline where none is pinned
 */
export function observe(
  rule: AlertRule,
  figures: Figures,
  before: readonly Figures[],
  pinned: Figures | null,
): Observation {
  if (isClockMetric(rule.metric)) return { value: null, baseline: null }
  const value = figures[rule.metric] ?? null
  if (rule.measure === 'value') return { value, baseline: null }
  const baseline = pinned ? (pinned[rule.metric] ?? null) : baselineOf(rule.metric, before)
  if (value === null || baseline === null || baseline === 0) return { value: null, baseline }
  return { value: (100 * (value - baseline)) / Math.abs(baseline), baseline }
}

function baselineOf(metric: string, before: readonly Figures[]): number | null {
  const values = before
    .slice(-baselineRuns)
    .map((figures) => figures[metric] ?? null)
    .filter((value) => value !== null)
    .sort((a, b) => a - b)
  if (values.length < minBaselineRuns) return null
  const middle = values.length >> 1
  return values.length % 2 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2
}

/** Fills {value}, {threshold} and {baseline}. */
export function alertMessage(rule: AlertRule, seen: Observation): string {
  const words: Record<string, number | null> = { value: seen.value, threshold: rule.firing, baseline: seen.baseline }
  return rule.message.replace(/\{(value|threshold|baseline)\}/g, (_, name: string) => rounded(words[name] ?? null))
}

/** Three significant digits after nothing is lost before the point: 245.3 → 245.3, 0.1234 → 0.123. */
const rounded = (value: number | null): string => {
  if (value === null) return 'unknown'
  const digits = Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 3
  return String(Number(value.toFixed(digits)))
}

export interface QualityAlert {
  readonly rule: string
  readonly severity: Severity
  readonly metric: string
  readonly value: number
  readonly threshold: number
  readonly message: string
  readonly action: string
}

/** The record's figures against the three default thresholds, whatever rules its wiki has. */
export function checkQualityThresholds(figures: Figures): QualityAlert[] {
  return defaultAlertRules
    .filter((rule) => (qualityThresholds as readonly string[]).includes(rule.rule))
    .flatMap((rule) => {
      const seen = observe(rule, figures, [], null)
      if (seen.value === null || !isCrossed(rule, seen.value)) return []
      const { severity, metric, firing: threshold, action } = rule
      return [
        { rule: rule.rule, severity, metric, value: seen.value, threshold, message: alertMessage(rule, seen), action },
      ]
    })
}

export interface PastRun {
  readonly jobId: string
  readonly at: Date
  readonly figures: Figures
}

export interface PreviewedRun {
  readonly job_id: string
  readonly at: string
  readonly value: number | null
  readonly baseline: number | null
  readonly crossed: boolean
  readonly state: AlertState | 'ok'
  readonly told: 'raised' | 'resolved' | null
}

/**
 * What a rule would have done in past runs.
 * @param runs oldest first; those before the shown ones make the baseline and the alert with which the shown ones begin
 * @param shown how many of the last are told
 */
export function previewRule(
  rule: AlertRule,
  runs: readonly PastRun[],
  pinned: Figures | null,
  shown = runs.length,
): PreviewedRun[] {
  let alert: OpenAlert | undefined
  const replayed = runs.map((run, at): PreviewedRun => {
    const seen = observe(
      rule,
      run.figures,
      runs.slice(Math.max(0, at - baselineRuns), at).map((past) => past.figures),
      pinned,
    )
    const step = stepAlert(rule, alert, seen, false)
    alert = step.alert
    return {
      job_id: run.jobId,
      at: run.at.toISOString(),
      value: seen.value,
      baseline: seen.baseline,
      crossed: seen.value !== null && isCrossed(rule, seen.value),
      state: alert?.state ?? (step.to === 'resolved' ? 'resolved' : 'ok'),
      told: step.tell ?? null,
    }
  })
  return replayed.slice(Math.max(0, runs.length - shown))
}
