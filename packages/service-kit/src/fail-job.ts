import type { Message } from '@tagloom/bus'
import { events, type Stage, toMessage } from '@tagloom/contracts'
import { failJob } from '@tagloom/database'
import type { ServiceDeps } from './service-deps.ts'
import { traceIdOf } from './tracing.ts'

/** Which stage a job is in when a message of this name is worked on */
const stageOf: Readonly<Record<string, Stage>> = {
  'job.requested': 'embed',
  'embed.batch': 'embed',
  'pages.embedded': 'cluster',
  'clusters.formed': 'label',
  'label.batch': 'label',
  'labels.proposed': 'label',
  'clusters.tagged': 'propagate',
  'propagate.batch': 'propagate',
}

/**
 * Fails the job of a message, with a reason that a person can read, and says so in an event. A job that isn't running is left as it is.
 * @param code stable, for programs
 */
export async function failJobOf(
  deps: Pick<ServiceDeps, 'relay' | 'log' | 'name'>,
  message: Pick<Message, 'envelope' | 'traceparent' | 'requestId'>,
  code: string,
  reason: string,
): Promise<void> {
  const { wiki_id, job_id } = message.envelope.data as { wiki_id: number; job_id: string }
  const stage = stageOf[message.envelope.type.replace(/^io\.tagloom\.|\.v1$/g, '')]
  const of = { ...(stage ? { stage } : {}), code, reason: reason.slice(0, 2_000) }
  const failed = await deps.relay.commit(async (tx, owe) => {
    const job = await failJob(tx, job_id, code, of.reason)
    const context = { source: deps.name, traceparent: message.traceparent, requestId: message.requestId }
    if (job) owe(toMessage(events.jobFailed, { wiki_id, job_id, attempt: job.attempt, ...of }, context))
    return job
  })
  if (!failed) return
  const trace = traceIdOf(message.traceparent)
  deps.log
    .child({ wiki_id, job_id, request_id: message.requestId, trace_id: trace })
    .event('job_failed', { ...of, attempt: failed.attempt })
}
