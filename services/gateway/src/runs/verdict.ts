import type { NamedMetric, Verdict } from '@tagloom/contracts'

/** How a figure compares with an earlier one, by the direction that its metric declares. */
export function verdictOf(metric: Pick<NamedMetric, 'better'>, before: number | null, after: number | null): Verdict {
  if (before === null || after === null) return 'unknown'
  if (before === after) return 'same'
  if (metric.better === 'neither') return 'different'
  return after > before === (metric.better === 'higher') ? 'better' : 'worse'
}

export const changePercent = (before: number | null, after: number | null): number | null =>
  before === null || after === null || before === 0 ? null : (100 * (after - before)) / Math.abs(before)
