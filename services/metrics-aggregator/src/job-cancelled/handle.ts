import type { Message } from '@tagloom/bus'
import type { events } from '@tagloom/contracts'
import type { LiveRefresh } from '../records/live-refresh.ts'

/** Shows in the live record that the job was cancelled, and how long it ran. A second delivery makes the same record again. */
export async function handleJobCancelled(
  message: Message<typeof events.jobCancelled>,
  deps: { readonly live: LiveRefresh },
): Promise<void> {
  deps.live.touch(message.data.job_id)
}
