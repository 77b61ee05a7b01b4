import type { Message } from '@tagloom/bus'
import type { events } from '@tagloom/contracts'
import type { LiveRefresh } from '../records/live-refresh.ts'

/** Opens the live record. A second delivery makes the same record again. */
export async function handleJobRequested(
  message: Message<typeof events.jobRequested>,
  deps: { readonly live: LiveRefresh },
): Promise<void> {
  deps.live.touch(message.data.job_id)
}
