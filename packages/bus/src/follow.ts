import { DeliverPolicy } from '@nats-io/jetstream'
import type { CloudEvent } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { readEnvelope } from './message.ts'

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

const pauseMs = 500

/**
 * Events as they come, to this process alone: nothing is acknowledged and nothing shared. Ends when the signal aborts.
 * A place that is no longer in the stream (too old, or the store was wiped) goes on with what is there.
 */
export async function* follow(core: BusCore, options: FollowOptions): AsyncGenerator<Followed> {
  let next = options.fromSequence
  while (!options.signal.aborted) {
    try {
      for await (const followed of followOnce(core, options, next)) {
        next = followed.sequence + 1
        yield followed
      }
    } catch (error) {
      if (options.signal.aborted) return
      core.log('bus_consumer_recovering', { durable: 'follow', reason: (error as Error).message })
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}

async function* followOnce(
  core: BusCore,
  options: FollowOptions,
  fromSequence: number | undefined,
): AsyncGenerator<Followed> {
  const stream = core.names.stream('EVENTS')
  const { state } = await core.manager.streams.info(stream)
  const known = fromSequence !== undefined && fromSequence <= state.last_seq + 1
  const consumer = await core.js.consumers.get(stream, {
    filter_subjects: options.subjects.map(core.names.subject),
    ...(known
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, fromSequence) }
      : { deliver_policy: DeliverPolicy.New }),
  })
  const messages = await consumer.consume({ max_messages: 256 })
  const close = () => void messages.close()
  options.signal.addEventListener('abort', close, { once: true })
  if (options.signal.aborted) close()
  try {
    for await (const raw of messages) {
      if (options.signal.aborted) return
      yield { sequence: raw.seq, envelope: readEnvelope(raw.data) }
    }
  } finally {
    options.signal.removeEventListener('abort', close)
    await messages.close()
  }
}
