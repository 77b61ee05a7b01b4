import type { Message } from '@tagloom/bus'
import type { events } from '@tagloom/contracts'
import type { HandlerDeps } from '@tagloom/service-kit'
import { beginNextJob } from '../job-life/begin.ts'

/**
 * A job completed or failed: the wiki's next queued one begins.
 * A second delivery finds a job running, or none queued, and changes nothing.
 */
export async function handleJobEnded(
  message: Message<typeof events.jobCompleted | typeof events.jobFailed>,
  { relay }: HandlerDeps,
): Promise<void> {
  await relay.commit((tx, owe) => beginNextJob(tx, owe, message.data.wiki_id))
}
