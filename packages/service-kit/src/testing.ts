import { Registry } from '@prometheus-io/client'
import { openTestBus } from '@tagloom/bus/testing'
import { type LogEventName, logEvents, logLineSchema, type ServiceName } from '@tagloom/contracts'
import { openTestDatabase } from '@tagloom/database/testing'
import type { TProperties } from 'typebox'
import { Value } from 'typebox/value'
import type { Variables } from './environment.ts'
import { createLog, type Log } from './log.ts'
import { createRelay } from './relay.ts'
import { type ConfigOf, readConfig } from './run-service.ts'
import type { ServiceDeps } from './service-deps.ts'

export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly event?: string }

export interface CapturedLog extends Log {
  readonly lines: readonly LogLine[]
  /** The lines of one event */
  of(name: LogEventName): LogLine[]
}

/** A log that keeps its lines, and throws when an event is not as the contracts declare it. */
export function captureLog(service: ServiceName = 'tagger'): CapturedLog {
  const lines: LogLine[] = []
  const keep = {
    write(text: string) {
      const line = JSON.parse(text) as LogLine
      lines.push(line)
      if (line.event && line.event in logEvents) checkLine(line.event as LogEventName, line)
    },
  }
  const log = createLog({ service, level: 'DEBUG' }, [keep])
  return { ...log, lines, of: (name) => lines.filter((line) => line.event === name) }
}

function checkLine(name: LogEventName, line: LogLine): void {
  const schema = logLineSchema(name)
  const [error] = Value.Errors(schema, line)
  if (error) throw new Error(`log event ${name} is not as declared: ${error.instancePath} ${error.message}`)
}

export type TestDeps<Own extends TProperties = Record<never, never>> = ServiceDeps<ConfigOf<Own>> & {
  readonly log: CapturedLog
  close(): Promise<void>
}

/** What a service is built from, with a database and streams of the test file's own. */
export async function openTestDeps<Own extends TProperties = Record<never, never>>(
  name: ServiceName,
  environment: Own = {} as Own,
  variables: Variables = {},
): Promise<TestDeps<Own>> {
  const log = captureLog(name)
  const [db, bus] = await Promise.all([openTestDatabase(), openTestBus({ log })])
  const servers = { DATABASE_URL: db.url, NATS_URL: bus.url, NATS_PREFIX: bus.prefix }
  const config = readConfig(environment, { ...servers, ...variables })
  const relay = createRelay({ db, bus, log, sweepEveryMs: 100, owedForMs: 200 })
  const close = async () => {
    await relay.stop()
    await bus.close()
    await db.close()
  }
  return { name, config, log, db, bus, relay, registry: new Registry(), stillStarting() {}, close }
}
