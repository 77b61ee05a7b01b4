import type { Backlog } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  claimInbox,
  countOutbox,
  type Database,
  failJob,
  type Job,
  listRunningJobs,
  listWaitingWikis,
  readLastProgress,
  withTryLock,
} from '@tagloom/database'
import type { Commit } from '../commit.ts'
import { beginNextJob } from '../job-life/begin.ts'
import { type Owed, readOwed } from '../job-life/owed.ts'

/*
 * A running job is always owed to somebody: a message waits in the stream, is in hand, or lies in the outbox. When JetStream loses its
 * store, nobody has it any more. The watchdog sees that and sends the message again, built from the job's rows.
 * A job is stuck when, twice in a row at the same place, nothing waits, nothing is in hand and nothing is owed; or when it has not moved
 * for `stallMs`, which also finds a message lost while other jobs keep the workers busy.
 * At one place a job is revived `maxRevivals` times, then it fails. Sending what was not lost is harmless: handlers know it.
 */

export interface WatchdogDeps {
  readonly db: Database
  readonly commit: Commit
  /** What waits and what is in hand; throws when the bus is away */
  readonly backlog: () => Promise<Backlog[]>
  readonly stallMs: number
  readonly maxRevivals: number
  readonly onRevived: (job: Job, owed: Owed, revival: number) => void
  readonly onGivenUp: (job: Job, owed: Owed, reason: string) => void
  readonly now?: () => number
}

/** Any constant that no other advisory lock of ours uses */
const lockKey = 7_424_567
/** Those who carry a job on; a metrics-aggregator that is behind holds up no job. */
const workers = /tagger|clusterer|propagator/

export class Watchdog {
  readonly #deps: WatchdogDeps
  readonly #now: () => number
  /** Job → place at which it was seen with nothing going on */
  #quietAt = new Map<string, string>()
  readonly #revivedAt = new Map<string, number>()

  constructor(deps: WatchdogDeps) {
    this.#deps = deps
    this.#now = deps.now ?? Date.now
  }

  /** Looks once. Of several gateways one looks at a time. */
  async look(): Promise<void> {
    await withTryLock(this.#deps.db, lockKey, async () => {
      for (const wikiId of await listWaitingWikis(this.#deps.db))
        await this.#deps.commit((tx, owe) => beginNextJob(tx, owe, wikiId))
      await this.#reviveStuck(await listRunningJobs(this.#deps.db))
    })
  }

  async #reviveStuck(jobs: readonly Job[]): Promise<void> {
    const quietNow = jobs.length > 0 && (await this.#isQuiet())
    const quietAt = new Map<string, string>()
    for (const job of jobs) {
      const owed = await readOwed(this.#deps.db, job)
      if (quietNow) quietAt.set(job.id, owed.place)
      const lost = quietNow && this.#quietAt.get(job.id) === owed.place
      if (lost || (await this.#isStalled(job))) {
        await this.#revive(job)
        quietAt.delete(job.id)
      }
    }
    this.#quietAt = quietAt
    const running = new Set(jobs.map((job) => job.id))
    for (const id of this.#revivedAt.keys()) if (!running.has(id)) this.#revivedAt.delete(id)
  }

  async #isQuiet(): Promise<boolean> {
    const backlog = await this.#deps.backlog()
    if (backlog.some((row) => workers.test(row.durable) && row.pending + row.inFlight > 0)) return false
    return (await countOutbox(this.#deps.db)) === 0
  }

  async #isStalled(job: Job): Promise<boolean> {
    const moved = (await readLastProgress(this.#deps.db, job.id)).getTime()
    const last = Math.max(moved, this.#revivedAt.get(job.id) ?? 0)
    return this.#now() - last > this.#deps.stallMs
  }

  async #revive(job: Job): Promise<void> {
    const { maxRevivals, onRevived, onGivenUp } = this.#deps
    this.#revivedAt.set(job.id, this.#now())
    const outcome = await this.#deps.commit(async (tx, owe) => {
      const { place } = await readOwed(tx, job)
      for (let revival = 1; revival <= maxRevivals; revival++) {
        const suffix = `revival.${place}.${revival}`
        if (!(await claimInbox(tx, 'gateway-watchdog', `${job.id}.${suffix}`))) continue
        const owed = await readOwed(tx, job, suffix)
        owe(...owed.messages)
        return { owed, revival }
      }
      const owed = await readOwed(tx, job)
      const reason = `nobody took on ${owed.step} after ${maxRevivals} more tries: check that its service runs, then retry the job`
      if (await failJob(tx, job.id, 'stalled', reason)) {
        const { id: job_id, wikiId: wiki_id, attempt } = job
        const context = {
          source: 'gateway',
          traceparent: job.traceparent ?? undefined,
          requestId: job.requestId ?? undefined,
        }
        owe(
          toMessage(events.jobFailed, { wiki_id, job_id, attempt, stage: owed.step, code: 'stalled', reason }, context),
        )
        await beginNextJob(tx, owe, wiki_id)
      }
      return { owed, reason }
    })
    if (outcome.revival === undefined) onGivenUp(job, outcome.owed, outcome.reason)
    else onRevived(job, outcome.owed, outcome.revival)
  }
}
