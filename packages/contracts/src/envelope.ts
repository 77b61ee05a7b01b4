import Type, { type Static, type TObject } from 'typebox'

/** The envelope of every message: CloudEvents 1.0, structured JSON, with the distributed-tracing and two own extensions. */
export const CloudEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({ minLength: 1, description: 'Dedupe key: the same fact has the same id however often it is sent' }),
  source: Type.String({ description: 'The service that emitted it, e.g. /tagloom/tagger' }),
  type: Type.String({ description: 'io.tagloom.<thing>.<event>.v1' }),
  time: Type.String({ format: 'date-time' }),
  datacontenttype: Type.Literal('application/json'),
  traceparent: Type.Optional(Type.String({ description: 'W3C trace context' })),
  requestid: Type.Optional(Type.String({ description: 'Id of the HTTP request that began it' })),
  data: Type.Unknown(),
})
export type CloudEvent<Data = unknown> = Omit<Static<typeof CloudEvent>, 'data'> & { data: Data }

/** Which stream carries an event: `events` is kept 7 days for replay, `work` is a queue of which each message is taken once. */
export type StreamName = 'events' | 'work'

export interface EventDeclaration<Name extends string = string, Schema extends TObject = TObject> {
  /** `<thing>.<past-tense event>`, or `<stage>.batch` */
  readonly name: Name
  /** CloudEvents type */
  readonly type: string
  readonly stream: StreamName
  readonly description: string
  readonly schema: Schema
  /** Subject filter that matches this event for every wiki */
  readonly filter: string
  /** Subject of one message */
  readonly subject: (data: Static<Schema>) => string
  /** Id of the message: equal for equal facts */
  readonly dedupeKey: (data: Static<Schema>) => string
}

export type DataOf<E> = E extends EventDeclaration<string, infer Schema> ? Static<Schema> : never

export interface EnvelopeContext {
  /** Name of the emitting service */
  readonly source: string
  readonly traceparent?: string | undefined
  readonly requestId?: string | undefined
  readonly now?: Date
}

export function toCloudEvent<E extends EventDeclaration>(
  event: E,
  data: DataOf<E>,
  context: EnvelopeContext,
): CloudEvent<DataOf<E>> {
  return {
    specversion: '1.0',
    id: event.dedupeKey(data),
    source: `/tagloom/${context.source}`,
    type: event.type,
    time: (context.now ?? new Date()).toISOString(),
    datacontenttype: 'application/json',
    ...(context.traceparent ? { traceparent: context.traceparent } : {}),
    ...(context.requestId ? { requestid: context.requestId } : {}),
    data,
  }
}

/** A message ready to be published or to wait in the outbox. */
export interface OutgoingMessage {
  readonly subject: string
  /** Nats-Msg-Id: a second publish inside the stream's duplicate window is dropped */
  readonly messageId: string
  /** The CloudEvent as JSON */
  readonly body: string
}

/**
 * One message for the bus or the outbox.
 * @param resend suffix for a repeat that must get through the stream's duplicate window; the envelope's id stays, so an inbox still knows it
 */
export function toMessage<E extends EventDeclaration>(
  event: E,
  data: DataOf<E>,
  context: EnvelopeContext,
  resend?: string,
): OutgoingMessage {
  const envelope = toCloudEvent(event, data, context)
  return {
    subject: event.subject(data),
    messageId: resend ? `${envelope.id}~${resend}` : envelope.id,
    body: JSON.stringify(envelope),
  }
}
