import { metricList, type NamedMetric, type Trends } from '@tagloom/contracts'
import type { RecentRuns, RunTotals } from '@tagloom/database'
import { type Trend, type TrendScratch, trendOf } from '@tagloom/kernels'
import { changePercent, verdictOf } from './verdict.ts'

const significant = 0.05

/**
 * What a series of runs says of every metric.
 * @param scratch reused from question to question
 */
export function trendsOf(wikiId: number, series: RecentRuns, totals: RunTotals, scratch: TrendScratch): Trends {
  const none = new Float64Array(series.at.length).fill(Number.NaN)
  return {
    wiki_id: wikiId,
    runs: series.at.length,
    runs_recorded: totals.runs,
    from: timeOf(series.at[0]),
    to: timeOf(series.at.at(-1)),
    baseline_job_id: totals.baselineJobId,
    metrics: metricList.map((metric) => {
      const trend = trendOf(series.figures.get(metric.name) ?? none, scratch)
      return {
        metric: metric.name,
        group: metric.group,
        unit: metric.unit,
        ...trend,
        trend: directionOf(metric, trend),
        baseline: againstBaseline(metric, totals.baselineFigures?.[metric.name] ?? null, trend.last),
      }
    }),
  }
}

const timeOf = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString())

function directionOf(metric: NamedMetric, trend: Trend): Trends['metrics'][number]['trend'] {
  if (!trend.enough_data || trend.slope === null) return 'unknown'
  if (trend.p_value === null || trend.p_value >= significant || trend.slope === 0) return 'steady'
  if (metric.better === 'neither') return 'changing'
  return trend.slope > 0 === (metric.better === 'higher') ? 'improving' : 'worsening'
}

function againstBaseline(metric: NamedMetric, value: number | null, last: number | null) {
  if (value === null) return null
  return { value, change_percent: changePercent(value, last), verdict: verdictOf(metric, value, last) }
}
