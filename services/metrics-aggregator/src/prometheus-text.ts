/*
 * For tests: a strict reader of the Prometheus text format 0.0.4. It refuses what a server may forgive: samples without HELP and TYPE, a family
 * in two places, a series twice, names and escapes that are not allowed, histograms that do not add up, a last line without its end.
 */

interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly series: Series[]
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const helpLine = new RegExp(`^# HELP (${metricName}) (.*)$`)
const typeLine = new RegExp(`^# TYPE (${metricName}) (counter|gauge|histogram|summary|untyped)$`)
const sampleLine = new RegExp(`^(${metricName})(?:\\{(.*)\\})? (\\S+)$`)
const labelPair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/
const numeral = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

/** @throws naming the line that is not as it must be */
export function parsePrometheusText(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('expected the last line to end, got no line feed')
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let help: RegExpExecArray | null = null
  let family: Family | undefined
  for (const [at, line] of text.slice(0, -1).split('\n').entries()) {
    const refuse = (expected: string) => new Error(`line ${at + 1}: expected ${expected}, got ${line}`)
    if (line === '') continue
    const type = typeLine.exec(line)
    if (line.startsWith('# HELP ')) {
      help = helpLine.exec(line)
      if (!help) throw refuse('HELP, a name, and a text')
    } else if (type) {
      if (help?.[1] !== type[1]) throw refuse('the HELP of the same name before it')
      if (families.has(type[1]!)) throw refuse('a family in one place')
      family = { name: type[1]!, help: help![2]!, type: type[2]!, series: [] }
      families.set(family.name, family)
    } else {
      const series = seriesOf(line)
      if (!series) throw refuse('a sample')
      if (!family || !belongs(series.name, family)) throw refuse('the TYPE of its family before it')
      const key = JSON.stringify([series.name, Object.entries(series.labels).sort()])
      if (seen.has(key)) throw refuse('each series once')
      seen.add(key)
      family.series.push(series)
    }
  }
  for (const each of families.values()) if (each.type === 'histogram') checkHistogram(each)
  return families
}

const suffixes: Record<string, string[]> = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] }
const belongs = (name: string, family: Family): boolean =>
  (suffixes[family.type] ?? ['']).some((suffix) => name === family.name + suffix)

function seriesOf(line: string): Series | undefined {
  const [, name, list = '', value] = sampleLine.exec(line) ?? []
  if (name === undefined || value === undefined || !numeral.test(value)) return undefined
  const labels: Record<string, string> = {}
  for (let rest = list; rest !== ''; ) {
    const pair = labelPair.exec(rest)
    if (!pair || Object.hasOwn(labels, pair[1]!)) return undefined
    labels[pair[1]!] = pair[2]!.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))
    rest = rest.slice(pair[0].length)
  }
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) }
}

/** Buckets of each series count up to the bucket +Inf, which is the count. */
function checkHistogram({ name, series }: Family): void {
  const buckets = new Map<string, number[]>()
  const key = ({ le: _, ...labels }: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(labels).sort())
  for (const each of series) {
    if (each.name !== `${name}_bucket`) continue
    const counts = buckets.get(key(each.labels)) ?? []
    if (each.value < (counts.at(-1) ?? 0)) throw new Error(`${name}: expected buckets that count up, got ${each.value}`)
    buckets.set(key(each.labels), [...counts, each.value])
  }
  for (const each of series) {
    if (each.name !== `${name}_count`) continue
    const last = buckets.get(key(each.labels))?.at(-1)
    if (last !== each.value) throw new Error(`${name}: expected +Inf to be the count ${each.value}, got ${last}`)
  }
}
