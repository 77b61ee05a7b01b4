import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { LogEventName, LogFields } from '@tagloom/contracts'
import type { Names } from './names.ts'

/** What the bus tells of its work, for metrics. */
export type Observation =
  | { readonly kind: 'published'; readonly seconds: number; readonly duplicate: boolean }
  | { readonly kind: 'publish failed' }
  | { readonly kind: 'in hand'; readonly durable: string; readonly delta: 1 | -1 }
  | {
      readonly kind: 'delivered'
      readonly durable: string
      readonly outcome: Outcome
      readonly seconds: number
      readonly deliveryCount: number
    }
  | { readonly kind: 'batch'; readonly durable: string; readonly messages: number; readonly seconds: number }

export type Outcome = 'acked' | 'retried' | 'dead' | 'handed back'

/** Takes the named events of the contracts. */
export interface BusLog {
  event<Name extends LogEventName>(name: Name, fields: LogFields<Name>): void
}

/** What the parts of the bus share. */
export interface BusCore {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly manager: JetStreamManager
  readonly names: Names
  readonly log: BusLog
  readonly observe: (observation: Observation) => void
  /** Called when a lost connection is there again */
  readonly onReconnect: Set<() => void>
}
