import type { JsMsg } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'

/** What the client's objects have and its interfaces do not tell of. */
interface Connection {
  readonly protocol: { sendCommand(command: string): void }
}
interface Delivery {
  readonly reply: string
}

/**
 * Acknowledges each of the messages, explicitly, in one command. `ack()` makes three buffers: holding and acknowledging take 6.9 µs of a bare
 * consumer so and 4.9 in one command. One acknowledgement for all up to a message would be of those that other replicas have in hand, too.
 */
export function ackTogether(connection: NatsConnection, messages: readonly JsMsg[]): void {
  if (connection.isClosed()) return
  let command = ''
  for (const { reply } of messages as readonly unknown[] as readonly Delivery[]) command += `PUB ${reply} 4\r\n+ACK\r\n`
  ;(connection as unknown as Connection).protocol.sendCommand(command)
}
