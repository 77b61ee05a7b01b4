import { type Cluster, type ClusterMetrics, type ImportReport, metricList } from '@tagloom/contracts'
import type { AlertRow } from '@tagloom/database'
import colors from 'picocolors'
import type { WikiSource } from './wiki-source.ts'

const GROUPS = ['performance', 'quality', 'coverage', 'errors'] as const
const SHOWN_CLUSTERS = 10
const SHOWN_ERRORS = 10

type LatestRecord = NonNullable<ClusterMetrics['latest_clustering']>

/** The run record: every declared figure of the four groups, with its unit. */
export function recordLines(record: LatestRecord): string[] {
  const lines = [heading(`Run record of ${record.job_id}`)]
  for (const group of GROUPS) {
    lines.push('', `  ${colors.bold(group)}`)
    const values = record[group] as Record<string, number | null | undefined>
    for (const { name, unit } of metricList.filter((metric) => metric.group === group)) {
      lines.push(`    ${name.padEnd(34)}${figure(values[name], unit)}`)
    }
  }
  return lines
}

/** The largest clusters with their tags and the three pages that belong to each most. */
export function clusterLines(clusters: Cluster[]): string[] {
  const largest = [...clusters].sort((a, b) => b.size - a.size || a.no - b.no).slice(0, SHOWN_CLUSTERS)
  if (largest.length === 0) return [heading('Clusters'), '', '  none: too few pages, or none like another']
  const lines = [heading(`The ${largest.length} largest of ${clusters.length} clusters`)]
  for (const cluster of largest) {
    const tags = cluster.tags.map((tag) => tag.label).join(', ') || '(no tag)'
    lines.push('', `  ${String(cluster.size).padStart(4)} pages  ${colors.bold(oneLine(tags, 100))}`)
    for (const page of cluster.pages.slice(0, 3)) lines.push(colors.dim(`              ${oneLine(page.title, 80)}`))
  }
  return lines
}

export function alertLines(alerts: Pick<AlertRow, 'severity' | 'message' | 'action'>[]): string[] {
  if (alerts.length === 0) return [heading('Alerts'), '', '  none']
  const lines = [heading('Alerts'), '']
  for (const alert of alerts) {
    const paint = alert.severity === 'info' ? colors.cyan : colors.yellow
    lines.push(`  ${paint(alert.severity.padEnd(9))}${alert.message}`, `           ${colors.dim(alert.action)}`)
  }
  return lines
}

export function importLines(
  report: ImportReport,
  source: Pick<WikiSource, 'pageOnLine' | 'reasonOnLine' | 'notes'>,
): string[] {
  const counts = (['created', 'updated', 'unchanged', 'deleted', 'rejected'] as const)
    .filter((name) => report[name] > 0)
    .map((name) => `${report[name]} ${name}`)
  const lines = [`  ${report.received} pages read: ${counts.join(', ') || 'nothing to do'}`]
  for (const error of report.errors.slice(0, SHOWN_ERRORS)) {
    const reason = source.reasonOnLine(error.line) ?? error.reason
    lines.push(`  left out: ${oneLine(source.pageOnLine(error.line), 200)}: ${oneLine(reason, 300)}`)
  }
  if (report.rejected > SHOWN_ERRORS) lines.push(`  … and ${report.rejected - SHOWN_ERRORS} more`)
  for (const note of source.notes.slice(0, SHOWN_ERRORS)) lines.push(`  ${oneLine(note, 400)}`)
  if (source.notes.length > SHOWN_ERRORS) lines.push(`  … and ${source.notes.length - SHOWN_ERRORS} more of these`)
  if (report.replace_skipped) lines.push(`  nothing was deleted: ${report.replace_skipped}`)
  return lines
}

export function addressLines(base: string, wikiId: number, key: string): string[] {
  return [
    heading('Addresses'),
    '',
    `  API             ${base}/api/wikis/${wikiId}`,
    `  documentation   ${base}/docs`,
    `  run record      ${base}/api/tags/cluster-metrics/${wikiId}`,
    `  metrics         ${base}/metrics`,
    `  API key         ${key}`,
    '',
    colors.dim(`  curl -H "Authorization: Bearer ${key}" ${base}/api/tags/cluster-metrics/${wikiId}`),
  ]
}

function heading(text: string): string {
  return `\n${colors.bold(text)}`
}

function figure(value: number | null | undefined, unit: (typeof metricList)[number]['unit']): string {
  if (value === null || value === undefined) return '–'
  const digits = Number.isInteger(value) && unit !== 'seconds' && unit !== 'score' ? 0 : unit === 'score' ? 3 : 2
  const shownUnit = unit === 'score' ? '' : unit === 'percent' ? ' %' : ` ${unit}`
  return `${value.toFixed(digits)}${shownUnit}`
}

/** Titles and names come from anybody's pages: nothing that steers a terminal or turns its text around reaches it. */
function oneLine(text: string, most: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\s]+/g, ' ').trim()
  return clean.length <= most ? clean : `${clean.slice(0, most - 1)}…`
}
