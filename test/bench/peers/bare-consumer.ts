/**
 * A JetStream consumer with nothing around it: durable, each message acknowledged, nothing read of it and nothing kept. By callback and with
 * 5,000 messages ahead, which is the fastest way of the client that we found: its iterator takes two to three times as long.
 *
 *   node bare-consumer.ts NATS_URL STREAM DURABLE
 */
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

const [servers = '', stream = '', durable = ''] = process.argv.slice(2)
const connection = await connect({ servers })
const consumer = await jetstream(connection).consumers.get(stream, durable)
await consumer.consume({ max_messages: 5_000, callback: (message) => message.ack() })
process.send?.('ready')
