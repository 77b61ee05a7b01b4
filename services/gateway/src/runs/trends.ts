import { metricList, type NamedMetric, type Trends } from '@tagloom/contracts'
import type { RunTotals, SeriesRun } from '@tagloom/database'
import { type Trend, trendOf } from '@tagloom/kernels'
import { changePercent, verdictOf } from './verdict.ts'

const significant = 0.05

/** What a series of runs says of every metric. */
export function trendsOf(wikiId: number, series: readonly SeriesRun[], totals: RunTotals): Trends {
  return {
    wiki_id: wikiId,
    runs: series.length,
    runs_recorded: totals.runs,
    from: series[0]?.at.toISOString() ?? null,
    to: series.at(-1)?.at.toISOString() ?? null,
    baseline_job_id: totals.baselineJobId,
    metrics: metricList.map((metric) => {
      const trend = trendOf(series.map((run) => run.figures[metric.name] ?? null))
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
