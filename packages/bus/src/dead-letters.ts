import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import type { OutgoingMessage } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { idsOf, type Message } from './message.ts'

/** A message that could not be handled, and why. */
export interface DeadLetter {
  /** Its number in TAGLOOM_DEAD */
  readonly sequence: number
  readonly durable: string
  readonly subject: string
  readonly reason: string
  readonly deliveries: number
  readonly diedAt: string
  readonly body: string
}

const header = {
  durable: 'Tagloom-Durable',
  subject: 'Tagloom-Subject',
  reason: 'Tagloom-Reason',
  deliveries: 'Tagloom-Deliveries',
  diedAt: 'Tagloom-Died-At',
}
const longestReason = 1_000

/** Keeps a message that could not be handled, with its reason; `message` as far as it could be read. */
export async function putToDead(
  core: BusCore,
  durable: string,
  raw: JsMsg,
  reason: string,
  message?: Message,
): Promise<void> {
  const to = headers()
  const short = reason.replace(/[\r\n]+/g, ' ').slice(0, longestReason)
  to.set(header.durable, durable)
  to.set(header.subject, raw.subject)
  to.set(header.reason, encodeURIComponent(short))
  to.set(header.deliveries, String(raw.info.deliveryCount))
  to.set(header.diedAt, new Date().toISOString())
  await core.js.publish(core.names.deadSubject(durable), raw.data, {
    headers: to,
    msgID: `dead.${durable}.${raw.info.stream}.${raw.seq}`,
  })
  core.log.event('message_dead', {
    ...idsOf(message),
    subject: raw.subject,
    message_id: message?.id ?? String(raw.seq),
    deliveries: raw.info.deliveryCount,
    code: message ? 'not_handled' : 'not_readable',
    reason: short,
  })
}

/** The dead letters, oldest first. */
export async function readDeadLetters(core: BusCore, limit = 1_000): Promise<DeadLetter[]> {
  const stream = core.names.stream('DEAD')
  const { state } = await core.manager.streams.info(stream)
  if (state.messages === 0) return []
  const consumer = await core.js.consumers.get(stream, { deliver_policy: DeliverPolicy.All })
  const letters: DeadLetter[] = []
  const batch = await consumer.fetch({ max_messages: Math.min(limit, state.messages), expires: 2_000 })
  for await (const raw of batch) letters.push(readLetter(raw))
  return letters
}

function readLetter(raw: JsMsg): DeadLetter {
  const get = (name: string) => raw.headers?.get(name) ?? ''
  return {
    sequence: raw.seq,
    durable: get(header.durable),
    subject: get(header.subject),
    reason: decodeURIComponent(get(header.reason)),
    deliveries: Number(get(header.deliveries)),
    diedAt: get(header.diedAt),
    body: raw.string(),
  }
}

/** Sends a dead letter on its old way once more, then forgets it. A fresh message id gets it through the duplicate window. */
export async function redrive(
  core: BusCore,
  letter: DeadLetter,
  publish: (message: OutgoingMessage) => Promise<void>,
): Promise<void> {
  const messageId = `redrive.${letter.sequence}.${letter.diedAt}`
  await publish({ subject: letter.subject, messageId, body: letter.body })
  await core.manager.streams.deleteMessage(core.names.stream('DEAD'), letter.sequence)
  core.log.event('message_redriven', { subject: letter.subject, message_id: messageId })
}
