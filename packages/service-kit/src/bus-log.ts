import type { BusLog } from '@tagloom/bus'
import type { Log } from './log.ts'

/** Writes what the bus has to say as the named events of the contracts. */
export function logBus(log: Log): BusLog {
  let lostAt: number | undefined
  return (event, fields) => {
    const reason = String(fields.reason ?? '').slice(0, 2_000)
    if (event === 'bus_connection' && fields.state === 'disconnect') {
      lostAt = Date.now()
      log.event('connection_lost', { server: 'nats', reason: 'the connection broke' })
    } else if (event === 'bus_connection') {
      log.event('connection_restored', { server: 'nats', away_ms: Date.now() - (lostAt ?? Date.now()) })
    } else log.pino.warn({ ...fields, reason }, event)
  }
}
