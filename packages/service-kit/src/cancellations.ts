import type { Bus } from '@tagloom/bus'
import { events } from '@tagloom/contracts'

/** The jobs that this process has in hand: when one of them is cancelled, the work on it is told at once. */
export interface Cancellations {
  /** @returns a signal that aborts when the job is cancelled, and `done` to be called when the work ends */
  hold(jobId: string): { readonly signal: AbortSignal; done(): void }
  stop(): void
}

/** The reason of the signal: the job was cancelled. */
export class JobCancelled extends Error {
  readonly code = 'job_cancelled'
  override readonly name = 'JobCancelled'
}

export function followCancellations(bus: Pick<Bus, 'follow'>): Cancellations {
  const held = new Map<string, Set<AbortController>>()
  const stopping = new AbortController()
  const following = async () => {
    for await (const { envelope } of bus.follow({ subjects: [events.jobCancelled.filter], signal: stopping.signal })) {
      const { job_id: jobId, reason } = envelope.data as { job_id: string; reason: string }
      for (const controller of held.get(jobId) ?? []) controller.abort(new JobCancelled(reason))
    }
  }
  void following()
  return {
    hold(jobId) {
      const controller = new AbortController()
      const ofJob = held.get(jobId) ?? new Set()
      held.set(jobId, ofJob.add(controller))
      return {
        signal: controller.signal,
        done() {
          ofJob.delete(controller)
          if (ofJob.size === 0) held.delete(jobId)
        },
      }
    },
    stop: () => stopping.abort(),
  }
}
