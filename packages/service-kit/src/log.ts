/// <reference path="./pino-roll.d.ts" />
import type { LogContext, LogEventName, LogFields, LogLevel, ServiceName } from '@tagloom/contracts'
import { logEvents } from '@tagloom/contracts'
import { destination, type Logger, multistream, pino, stdTimeFunctions } from 'pino'
import { loggedError } from './plain-error.ts'
import { readableLine } from './readable-line.ts'

/** Writes the named events of the contracts, with their level; ids of job, wiki, request and trace come from the child that writes. */
export interface Log {
  event<Name extends LogEventName>(name: Name, fields: LogFields<Name>): void
  /** A log whose lines carry these ids too; undefined ones are left out. */
  child(context: { readonly [Id in keyof LogContext]?: LogContext[Id] | undefined }): Log
  /** For Fastify and other libraries that want a logger of the usual kind */
  readonly pino: Logger
}

export interface LogSettings {
  readonly service: ServiceName
  readonly level: LogLevel
  readonly format: 'json' | 'readable'
  /** Also written to this file, rotated daily and at 20 MB, eight files kept; '' for none */
  readonly file?: string
}

/** Where lines go: each is a whole line of JSON with its line feed. */
interface LineStream {
  write(line: string): void
}

const words = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
} as const satisfies Record<string, LogLevel>
const methods = { DEBUG: 'debug', INFO: 'info', WARNING: 'warn', ERROR: 'error', CRITICAL: 'fatal' } as const

const secretFields = new Set([
  'authorization',
  'api_key',
  'apikey',
  'x-api-key',
  'cookie',
  'password',
  'secret',
  'token',
  'key_hash',
])
const secretField = new RegExp(`"(?:${[...secretFields].join('|')})":`)
const withoutSecrets = (field: string, value: unknown): unknown => (secretFields.has(field) ? '[redacted]' : value)
/**
 * The value of a secret's field, at any depth. Looked for in the written line, which few lines need more than: the logger's own redaction walks
 * what is logged by each of its paths, and took 52 of a line's 56 µs.
 */
const redacted = (line: string): string =>
  secretField.test(line) ? `${JSON.stringify(JSON.parse(line, withoutSecrets))}\n` : line

/** Credentials inside addresses: `postgres://user:password@host` */
const credentials = /\b([a-z][a-z0-9+]*:\/\/[^\s:/@"]*):[^\s/@"]+@/g

/**
 * Control characters that JSON leaves as they are: line ends to some readers (U+0085, U+2028, U+2029) and commands to a terminal (U+007F to
 * U+009F). Written as JSON may write them too, a line is one line and the values are the same.
 */
const unescapedControls = /[\u007f-\u009f\u2028\u2029]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
const asWritten = (line: string): string => {
  const safe = redacted(line)
  // Few lines hold an address, and looking for that alone is nine times as fast.
  const open = safe.includes('://') ? safe.replace(credentials, '$1:[redacted]@') : safe
  return open.replace(unescapedControls, escaped)
}

/** Opens the log of a process. `close` writes out what the file still waits for. */
export async function openLog(
  settings: LogSettings,
  stdout: LineStream = destination({ fd: 1, sync: true }),
): Promise<Log & { close(): Promise<void> }> {
  const colour = Boolean(process.stdout.isTTY)
  const shown: LineStream =
    settings.format === 'readable' ? { write: (line) => stdout.write(readableLine(line, colour)) } : stdout
  const file = settings.file ? await openRolledFile(settings.file) : undefined
  const log = createLog(settings, file ? [shown, file] : [shown])
  return {
    ...log,
    close: () => (file ? new Promise<void>((resolve) => file.once('close', resolve).end()) : Promise.resolve()),
  }
}

/**
 * The day is part of the name: with numbers alone a process that starts on another day begins again at 1, writes to the end of the oldest
 * file, and the next rotation takes that for the one to remove.
 */
async function openRolledFile(file: string) {
  // Loaded where it is wanted: with what it needs it takes a tenth of a service's start.
  const { default: roll } = await import('pino-roll')
  return roll({
    file,
    size: '20m',
    frequency: 'daily',
    dateFormat: 'yyyy-MM-dd',
    mkdir: true,
    limit: { count: 7, removeOtherLogFiles: true },
  })
}

/** A log on given streams. */
export function createLog(settings: Pick<LogSettings, 'service' | 'level'>, streams: readonly LineStream[]): Log {
  const root = pino(
    {
      level: methods[settings.level],
      base: { service: settings.service },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: words[label as keyof typeof words] ?? label.toUpperCase() }) },
      serializers: { err: loggedError, error: loggedError },
      hooks: { streamWrite: asWritten },
    },
    multistream(streams.map((stream) => ({ level: 'trace' as const, stream }))),
  )
  return logOf(root)
}

function logOf(logger: Logger): Log {
  return {
    event: (name, fields) => logger[methods[logEvents[name].level]]({ event: name, ...fields }),
    child: (context) =>
      logOf(logger.child(Object.fromEntries(Object.entries(context).filter(([, id]) => id !== undefined)))),
    pino: logger,
  }
}
