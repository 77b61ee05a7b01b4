import { metricList, type Run } from '@tagloom/contracts'
import type { RunRow } from '@tagloom/database'

export const toRun = (row: RunRow): Run => ({
  job_id: row.jobId,
  created_at: row.createdAt.toISOString(),
  dry_run: row.dryRun,
  figures: Object.fromEntries(metricList.map(({ name }) => [name, row.figures[name] ?? null])),
})

export const exportTypes = { csv: 'text/csv; charset=utf-8; header=present', ndjson: 'application/x-ndjson' } as const
export type ExportFormat = keyof typeof exportTypes

/** Every run that `readPart` gives, as text, one part in memory at a time. No cell needs quoting: ids, times and numbers only. */
export async function* exportRuns(
  format: ExportFormat,
  readPart: (after: RunRow['position'] | undefined) => Promise<RunRow[]>,
): AsyncGenerator<string> {
  if (format === 'csv')
    yield `${['job_id', 'created_at', 'dry_run', ...metricList.map(({ name }) => name)].join(',')}\r\n`
  let after: RunRow['position'] | undefined
  for (;;) {
    const rows = await readPart(after)
    if (rows.length === 0) return
    yield rows.map((row) => lineOf(format, toRun(row))).join('')
    after = rows.at(-1)?.position
  }
}

const lineOf = (format: ExportFormat, run: Run): string =>
  format === 'ndjson'
    ? `${JSON.stringify(run)}\n`
    : `${[run.job_id, run.created_at, run.dry_run, ...metricList.map(({ name }) => run.figures[name] ?? '')].join(',')}\r\n`
