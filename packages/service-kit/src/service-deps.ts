import type { Registry } from '@prometheus-io/client'
import type { Bus } from '@tagloom/bus'
import type { CommonEnvironment, ServiceName } from '@tagloom/contracts'
import type { Database } from '@tagloom/database'
import type { Log } from './log.ts'
import type { Relay } from './relay.ts'

/** What every service is built from. */
export interface ServiceDeps<Config extends CommonEnvironment = CommonEnvironment> {
  readonly name: ServiceName
  readonly config: Config
  readonly log: Log
  readonly db: Database
  readonly bus: Bus
  readonly relay: Relay
  readonly registry: Registry
  /** Says what the start takes its time for, to whoever started this process with a channel, so that it goes on waiting. */
  readonly stillStarting: (what: string) => void
}
