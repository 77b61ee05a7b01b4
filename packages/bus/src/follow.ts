import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream'
import { type CloudEvent, type EventDeclaration, events } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { readMessage } from './message.ts'
import { pause } from './pause.ts'

export interface FollowOptions {
  /** Subjects of the event stream, wildcards allowed */
  readonly subjects: readonly string[]
  /** First message to see, for resuming; without it only what comes from now on */
  readonly fromSequence?: number
  readonly signal: AbortSignal
}

export interface Followed {
  /** Place in the event stream: resume with `fromSequence: sequence + 1` */
  readonly sequence: number
  readonly envelope: CloudEvent
}

const longestPauseMs = 5_000
const declared: readonly EventDeclaration[] = Object.values(events)

/**
 * Events as they come, to this process alone: nothing is acknowledged and nothing shared. Ends when the signal aborts.
 * A place that isn't in the stream any more goes on with what is there. A store that was wiped while it was followed begins anew: from
 * the first event of the new one. What can't be read is left out.
 */
export async function* follow(core: BusCore, options: FollowOptions): AsyncGenerator<Followed> {
  const { signal } = options
  let next = options.fromSequence
  let store: string | undefined
  let failures = 0
  while (!signal.aborted && !core.connection.isClosed()) {
    try {
      const { created, state } = await core.manager.streams.info(core.names.stream('EVENTS'))
      if (store !== undefined && store !== created) next = 1
      else if (next === undefined || next > state.last_seq + 1) next = state.last_seq + 1
      store = created
      for await (const raw of openFrom(core, options, next)) {
        if (signal.aborted) return
        next = raw.seq + 1
        failures = 0
        const envelope = read(raw, signal)
        if (envelope) yield { sequence: raw.seq, envelope }
      }
    } catch (error) {
      if (signal.aborted) return
      core.log.event('consumer_recovering', { consumer: 'follow', reason: (error as Error).message })
    }
    // Also when the subscription was ended because the connection came back: look at the stream again.
    await pause(Math.min(longestPauseMs, 100 * 2 ** failures++), signal)
  }
}

async function* openFrom(core: BusCore, options: FollowOptions, sequence: number): AsyncGenerator<JsMsg> {
  const consumer = await core.js.consumers.get(core.names.stream('EVENTS'), {
    filter_subjects: options.subjects.map(core.names.subject),
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, sequence),
  })
  const messages = await consumer.consume({ max_messages: 256, abort_on_missing_resource: true })
  const close = () => void messages.close()
  core.onReconnect.add(close)
  options.signal.addEventListener('abort', close, { once: true })
  if (options.signal.aborted) close()
  try {
    yield* messages
  } finally {
    options.signal.removeEventListener('abort', close)
    core.onReconnect.delete(close)
    close()
  }
}

/** What is not as declared is left out too: a follower trusts what it gets, and must not end by what somebody else sent. */
function read(raw: JsMsg, signal: AbortSignal): CloudEvent | undefined {
  try {
    return readMessage(declared, raw, signal).envelope
  } catch {
    return undefined
  }
}
