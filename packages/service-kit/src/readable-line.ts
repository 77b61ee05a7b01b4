const colours: Readonly<Record<string, number>> = { DEBUG: 90, INFO: 32, WARNING: 33, ERROR: 31, CRITICAL: 35 }
const shownApart = new Set(['time', 'level', 'service', 'event', 'msg', 'err'])

/** One JSON log line as a person reads it: `12:00:00.123 INFO    tagger  tags_generated  job_id=… clusters=12`. */
export function readableLine(json: string, colour: boolean): string {
  let line: Record<string, unknown>
  try {
    line = JSON.parse(json)
  } catch {
    return json
  }
  const level = String(line.level)
  const shown = level.padEnd(8)
  const fields = Object.entries(line)
    .filter(([name]) => !shownApart.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`)
  const parts = [
    String(line.time).slice(11, 23),
    colour ? `\u001b[${colours[level] ?? 0}m${shown}\u001b[0m` : shown,
    line.service,
    [line.event, line.msg].filter(Boolean).join(' '),
    ...fields,
  ]
  const stack = (line.err as { stack?: string } | undefined)?.stack
  return `${parts.join(' ')}\n${stack ? `${stack.replace(/^/gm, '  ')}\n` : ''}`
}
