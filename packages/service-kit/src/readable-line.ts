const colours: Readonly<Record<string, number>> = { DEBUG: 90, INFO: 32, WARNING: 33, ERROR: 31, CRITICAL: 35 }
const shownApart = new Set(['time', 'level', 'service', 'event', 'msg', 'err'])

/** Neither blanks nor anything that a terminal would obey */
const plain = /^[^\s\p{Cc}\p{Cf}]*$/u
const controls = /[\p{Cc}\p{Cf}\u2028\u2029]/gu
const withoutControls = (text: string): string =>
  text.replace(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
const shownValue = (value: unknown): string => withoutControls(JSON.stringify(value))

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
    .map(([name, value]) => `${name}=${typeof value === 'string' && plain.test(value) ? value : shownValue(value)}`)
  const parts = [
    String(line.time).slice(11, 23),
    colour ? `\u001b[${colours[level] ?? 0}m${shown}\u001b[0m` : shown,
    line.service,
    [line.event, line.msg]
      .filter(Boolean)
      .map((text) => withoutControls(String(text)))
      .join(' '),
    ...fields,
  ]
  const stack = (line.err as { stack?: string } | undefined)?.stack
  const shownStack = stack?.split('\n').map((call) => `  ${withoutControls(call)}\n`)
  return `${parts.join(' ')}\n${shownStack?.join('') ?? ''}`
}
