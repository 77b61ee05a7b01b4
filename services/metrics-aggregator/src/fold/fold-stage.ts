import type { MetricSample, StageBreakdown } from '@tagloom/contracts'
import { distributionOf, steadySum } from './distribution.ts'

const listedBatches = 200

/** One stage of the record from its samples, which are sorted by key. */
export function foldStage(samples: readonly MetricSample[]): StageBreakdown {
  const started = samples.map((sample) => Date.parse(sample.started_at))
  const ended = samples.map((sample) => Date.parse(sample.ended_at))
  const first = started.length ? minimum(started) : null
  const last = ended.length ? maximum(ended) : null
  const durations = samples.map((sample) => sample.duration_seconds)
  return {
    started_at: first === null ? null : new Date(first).toISOString(),
    ended_at: last === null ? null : new Date(last).toISOString(),
    duration_seconds: first === null || last === null ? null : Math.max(0, last - first) / 1000,
    busy_seconds: busySeconds(samples),
    work_seconds: steadySum(durations),
    samples: samples.length,
    batch_seconds: distributionOf(durations),
    counters: addCounters(samples),
    gauges: lastGauges(samples),
    batches: samples.slice(0, listedBatches).map(({ batch, service, started_at, duration_seconds }) => ({
      batch,
      service,
      started_at,
      duration_seconds,
    })),
  }
}

const minimum = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), Infinity)
const maximum = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity)

/** Length of the union of the samples' intervals: time in which at least one batch was under way. */
function busySeconds(samples: readonly MetricSample[]): number {
  const intervals = samples
    .map((sample) => [Date.parse(sample.started_at), Date.parse(sample.ended_at)] as const)
    .sort(([a], [b]) => a - b)
  let busy = 0
  let until = -Infinity
  for (const [from, to] of intervals) {
    if (to <= until) continue
    busy += to - Math.max(from, until)
    until = to
  }
  return busy / 1000
}

function addCounters(samples: readonly MetricSample[]): Record<string, number> {
  const parts = new Map<string, number[]>()
  for (const sample of samples)
    for (const [name, value] of Object.entries(sample.counters)) {
      const known = parts.get(name)
      if (known) known.push(value)
      else parts.set(name, [value])
    }
  return Object.fromEntries([...parts].sort(byName).map(([name, values]) => [name, steadySum(values)]))
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0

/** Of each gauge the one of the sample that ended last; of two that ended together the one with the later key. */
function lastGauges(samples: readonly MetricSample[]): Record<string, number> {
  const latest = new Map<string, { at: number; value: number }>()
  for (const sample of samples) {
    const at = Date.parse(sample.ended_at)
    for (const [name, value] of Object.entries(sample.gauges))
      if (at >= (latest.get(name)?.at ?? -Infinity)) latest.set(name, { at, value })
  }
  return Object.fromEntries([...latest].sort(byName).map(([name, { value }]) => [name, value]))
}
