import type { Message } from '@tagloom/bus'
import type { events } from '@tagloom/contracts'
import type { LiveRefresh } from '../records/live-refresh.ts'

/** Shows in the live record that the job failed. A second delivery makes the same record again. */
export async function handleJobFailed(
  message: Message<typeof events.jobFailed>,
  deps: { readonly live: LiveRefresh },
): Promise<void> {
  deps.live.touch(message.data.job_id)
}
