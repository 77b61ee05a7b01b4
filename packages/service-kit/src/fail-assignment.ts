import type { Message } from '@tagloom/bus'
import { endAssignment } from '@tagloom/database'
import type { ServiceDeps } from './service-deps.ts'
import { traceIdOf } from './tracing.ts'

/** Fails the assignment of a message, with a reason that a person can read. One that has ended is left as it is. */
export async function failAssignmentOf(
  deps: Pick<ServiceDeps, 'relay' | 'log'>,
  message: Pick<Message, 'envelope' | 'traceparent' | 'requestId'>,
  reason: string,
): Promise<void> {
  const { wiki_id, assignment_id } = message.envelope.data as { wiki_id: number; assignment_id: string }
  const said = reason.slice(0, 2_000)
  const failed = await deps.relay.commit((tx) => endAssignment(tx, assignment_id, said))
  if (!failed) return
  deps.log
    .child({ wiki_id, request_id: message.requestId, trace_id: traceIdOf(message.traceparent) })
    .event('assignment_failed', { assignment_id, reason: said })
}
