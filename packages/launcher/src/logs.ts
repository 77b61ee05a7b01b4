import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

const MOST_LINES = 1_000_000

export interface LogsOptions {
  job: string
}

export function parseLogsOptions(args: string[]): LogsOptions {
  const { values } = parseArgs({ args, options: { job: { type: 'string' } } })
  if (!values.job) throw new Error('expected --job ID: npm run logs -- --job cluster_wiki_1_abc123')
  return { job: values.job }
}

/** The lines of one job out of the logs of every service, in the order of their time; each is the JSON that was logged. */
export async function* joinedLogs(
  options: LogsOptions,
  context: { root: string; env: Record<string, string | undefined> },
): AsyncGenerator<string> {
  const folder = join(resolve(context.root, context.env.TAGLOOM_HOME || '.tagloom'), 'logs')
  const files = (await readdir(folder).catch(() => [])).filter((name) => /\.log(\.\d+)?$/.test(name)).sort()
  if (files.length === 0)
    throw new Error(`expected logs in ${folder}, found none: run npm start first, or set TAGLOOM_HOME`)
  const lines: { time: number; line: string }[] = []
  for (const file of files) {
    for await (const line of createInterface({ input: createReadStream(join(folder, file)), crlfDelay: Infinity })) {
      const time = timeOf(line, options.job)
      if (time === undefined) continue
      if (lines.push({ time, line }) > MOST_LINES)
        throw new Error(`job ${options.job} has more than ${MOST_LINES} lines`)
    }
  }
  if (lines.length === 0) throw new Error(`no line in ${folder} has job_id "${options.job}"`)
  lines.sort((a, b) => a.time - b.time)
  for (const { line } of lines) yield line
}

/** Milliseconds since 1970, when the line is a JSON log line of this job. */
function timeOf(line: string, job: string): number | undefined {
  if (!line.startsWith('{') || !line.includes(job)) return undefined
  try {
    const entry = JSON.parse(line) as { job_id?: unknown; time?: unknown }
    if (entry.job_id !== job) return undefined
    const time = typeof entry.time === 'number' ? entry.time : Date.parse(String(entry.time))
    return Number.isNaN(time) ? undefined : time
  } catch {
    return undefined
  }
}
