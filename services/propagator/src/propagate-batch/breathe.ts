import { setImmediate } from 'node:timers/promises'

/** Lets the event loop do what waits: heartbeats, health checks, answers of the database. */
export const breathe = (): Promise<void> => setImmediate()
