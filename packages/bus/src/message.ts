import { isAscii } from 'node:buffer'
import type { JsMsg } from '@nats-io/jetstream'
import { CloudEvent, type DataOf, type EventDeclaration, type LogContext } from '@tagloom/contracts'
import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { Value } from 'typebox/value'
import { checkDateTimesFaster } from './date-time.ts'
import { Reject } from './outcomes.ts'

/** A delivered message, as a handler sees it. */
export interface Message<E extends EventDeclaration = EventDeclaration> {
  /** Id of the CloudEvent: equal for every delivery of the same fact */
  readonly id: string
  readonly data: DataOf<E>
  readonly envelope: CloudEvent<DataOf<E>>
  readonly subject: string
  readonly traceparent: string | undefined
  readonly requestId: string | undefined
  /** 1 for the first delivery */
  readonly deliveryCount: number
  /** Aborted when the consumer is told to stop and the bound for finishing has passed */
  readonly signal: AbortSignal
}

/** Reads and checks a delivery. @throws Reject saying what was expected and what came */
export function readMessage<E extends EventDeclaration>(
  declared: readonly E[],
  raw: JsMsg,
  signal: AbortSignal,
): Message<E> {
  const envelope = read(declared, raw.data)
  return {
    id: envelope.id,
    data: envelope.data,
    envelope,
    subject: raw.subject,
    traceparent: envelope.traceparent,
    requestId: envelope.requestid,
    deliveryCount: raw.info.deliveryCount,
    signal,
  }
}

/** @throws Reject saying what was expected and what came */
export function read<E extends EventDeclaration>(declared: readonly E[], bytes: Uint8Array): CloudEvent<DataOf<E>> {
  const envelope = readEnvelope(bytes)
  const event = declared.find((candidate) => candidate.type === envelope.type)
  if (!event)
    throw new Reject(`expected a message of type ${declared.map((e) => e.type).join(' or ')}, got ${envelope.type}`)
  if (!validator(event.schema).Check(envelope.data)) {
    throw new Reject(`data of ${event.name} is not as declared: ${firstError(event.schema, envelope.data)}`)
  }
  return envelope as CloudEvent<DataOf<E>>
}

/** The ids that join log lines, as far as the message has them. */
export function idsOf(message: Message | undefined): LogContext {
  const { wiki_id, job_id } = (message?.data ?? {}) as { wiki_id?: number; job_id?: string }
  return {
    ...(wiki_id === undefined ? {} : { wiki_id }),
    ...(job_id === undefined ? {} : { job_id }),
    ...(message?.requestId === undefined ? {} : { request_id: message.requestId }),
  }
}

/** @throws Reject */
function readEnvelope(bytes: Uint8Array): CloudEvent {
  let parsed: unknown
  try {
    parsed = JSON.parse(textOf(bytes))
  } catch (cause) {
    throw new Reject(
      `expected a CloudEvent as JSON in UTF-8, got ${bytes.length} bytes that are not: ${(cause as Error).message}`,
    )
  }
  if (!validator(CloudEvent).Check(parsed)) throw new Reject(`expected a CloudEvent: ${firstError(CloudEvent, parsed)}`)
  return parsed as CloudEvent
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** ASCII is taken as it is, in a quarter of the decoder's time. @throws TypeError for what is not UTF-8 */
export function textOf(bytes: Uint8Array): string {
  if (!isAscii(bytes)) return decoder.decode(bytes)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

// Compiled checks are many times faster than interpreted ones; each schema is compiled when it is first met.
const validators = new WeakMap<TSchema, Validator>()

function validator(schema: TSchema): Validator {
  const known = validators.get(schema)
  if (known) return known
  checkDateTimesFaster()
  const made = Compile(schema) as unknown as Validator
  validators.set(schema, made)
  return made
}

function firstError(schema: TSchema, value: unknown): string {
  const [error] = Value.Errors(schema, value)
  return error ? `${error.instancePath || '/'} ${error.message}` : 'it does not match its schema'
}
