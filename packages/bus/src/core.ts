import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Names } from './names.ts'

/** What the bus tells of its work, for metrics. */
export type Observation =
  | { readonly kind: 'published'; readonly seconds: number; readonly duplicate: boolean }
  | { readonly kind: 'publish failed' }
  | { readonly kind: 'batch'; readonly durable: string; readonly messages: number; readonly seconds: number }
  | { readonly kind: 'in hand'; readonly durable: string; readonly delta: 1 | -1 }
  | {
      readonly kind: 'delivered'
      readonly durable: string
      readonly outcome: 'acked' | 'retried' | 'dead' | 'handed back'
      readonly seconds: number
      readonly deliveryCount: number
    }

export type BusLog = (
  event: 'bus_connection' | 'bus_consumer_recovering' | 'bus_handler_failed' | 'bus_message_dead',
  fields: Record<string, string | number | undefined>,
) => void

/** What the parts of the bus share. */
export interface BusCore {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly manager: JetStreamManager
  readonly names: Names
  readonly log: BusLog
  readonly observe: (observation: Observation) => void
}
