import type { Backlog } from '@tagloom/bus'
import { events, type Stage, toMessage } from '@tagloom/contracts'
import {
  claimInbox,
  countOutbox,
  type Database,
  failJob,
  type Job,
  listRunningJobs,
  listWaitingWikis,
  readLastProgress,
  type Transaction,
  withTryLock,
} from '@tagloom/database'
import type { Owe, Relay } from '@tagloom/service-kit'
import { beginNextJob } from '../job-life/begin.ts'
import { type Owed, readOwed, type Step } from '../job-life/owed.ts'

/*
 * A running job is always owed to somebody: a message waits in the stream, is in hand, or lies in the outbox. When JetStream loses its
 * store, nobody has it any more. The watchdog sees that and sends the message again, built from the job's rows.
 * A job is stuck when, twice in a row at the same place, nothing waits, nothing is in hand and nothing is owed; or when it has not moved
 * for `stallMs`, which also finds a message lost while other jobs keep the workers busy.
 * At one place a job is revived `maxRevivals` times, then it fails. Sending what was not lost is harmless: handlers know it.
 */

export interface WatchdogDeps {
  readonly db: Database
  readonly relay: Pick<Relay, 'commit'>
  /** What waits and what is in hand; throws when the bus is away */
  readonly backlog: () => Promise<Backlog[]>
  readonly stallMs: number
  readonly maxRevivals: number
  readonly onRevived: (revived: { job: Job; owed: Owed; idleSeconds: number }) => void
  readonly onGivenUp: (givenUp: { job: Job; owed: Owed; reason: string }) => void
}

/** Any constant that no other advisory lock of ours uses */
const lockKey = 7_424_567
/** Those who carry a job on; a metrics-aggregator that is behind holds up no job. */
const workers = /tagger|clusterer|propagator/

export class Watchdog {
  readonly #deps: WatchdogDeps
  /** Job → place at which it was last seen with nothing going on */
  #quietAt = new Map<string, string>()
  /** Job → when it was last revived */
  #revivedAt = new Map<string, number>()

  constructor(deps: WatchdogDeps) {
    this.#deps = deps
  }

  /** Looks once. Of several gateways one looks at a time. */
  async look(): Promise<void> {
    const { db, relay } = this.#deps
    await withTryLock(db, lockKey, async () => {
      for (const wikiId of await listWaitingWikis(db)) await relay.commit((tx, owe) => beginNextJob(tx, owe, wikiId))
      await this.#reviveStuck(await listRunningJobs(db))
    })
  }

  async #reviveStuck(jobs: readonly Job[]): Promise<void> {
    const quiet = jobs.length > 0 && (await this.#isQuiet())
    const quietAt = new Map<string, string>()
    const revivedAt = new Map<string, number>()
    for (const job of jobs) {
      const before = this.#revivedAt.get(job.id)
      if (before !== undefined) revivedAt.set(job.id, before)
      const { place } = await readOwed(this.#deps.db, job)
      const moved = (await readLastProgress(this.#deps.db, job.id)).getTime()
      const idleMs = Date.now() - Math.max(moved, before ?? 0)
      const lost = quiet && this.#quietAt.get(job.id) === place
      if (lost || idleMs > this.#deps.stallMs) {
        revivedAt.set(job.id, Date.now())
        await this.#revive(job, (Date.now() - moved) / 1000)
      } else if (quiet) quietAt.set(job.id, place)
    }
    this.#quietAt = quietAt
    this.#revivedAt = revivedAt
  }

  async #isQuiet(): Promise<boolean> {
    const backlog = await this.#deps.backlog()
    if (backlog.some((row) => workers.test(row.durable) && row.pending + row.inFlight > 0)) return false
    return (await countOutbox(this.#deps.db)) === 0
  }

  async #revive(job: Job, idleSeconds: number): Promise<void> {
    const { relay, maxRevivals, onRevived, onGivenUp } = this.#deps
    const done = await relay.commit(async (tx, owe) => {
      const suffix = await claimRevival(tx, job, maxRevivals)
      const owed = await readOwed(tx, job, suffix)
      if (suffix !== undefined) owe(...owed.messages)
      return suffix === undefined ? { owed, reason: await giveUp(tx, owe, job, owed.step, maxRevivals) } : { owed }
    })
    if (done.reason === undefined) onRevived({ job, owed: done.owed, idleSeconds })
    else onGivenUp({ job, owed: done.owed, reason: done.reason })
  }
}

/** Counts revivals at a place in the inbox, so that they are counted over restarts and gateways. @returns undefined after the last */
async function claimRevival(tx: Transaction, job: Job, maxRevivals: number): Promise<string | undefined> {
  const { place } = await readOwed(tx, job)
  for (let revival = 1; revival <= maxRevivals; revival++) {
    const suffix = `revival.${place}.${revival}`
    if (await claimInbox(tx, 'gateway-watchdog', `${job.id}.${suffix}`)) return suffix
  }
  return undefined
}

async function giveUp(tx: Transaction, owe: Owe, job: Job, step: Step, tries: number): Promise<string> {
  const reason = `nobody took on ${step} after ${tries} more tries: check that the ${serviceOf(step)} runs, then retry the job`
  if (await failJob(tx, job.id, 'stalled', reason)) {
    const of = { wiki_id: job.wikiId, job_id: job.id, attempt: job.attempt, stage: stageOf(step) }
    const context = {
      source: 'gateway',
      traceparent: job.traceparent ?? undefined,
      requestId: job.requestId ?? undefined,
    }
    owe(toMessage(events.jobFailed, { ...of, code: 'stalled', reason }, context))
    await beginNextJob(tx, owe, job.wikiId)
  }
  return reason
}

const steps: Readonly<Record<Step, readonly [Stage, string]>> = {
  'job.requested': ['embed', 'tagger'],
  'embed.batch': ['embed', 'tagger'],
  'pages.embedded': ['cluster', 'clusterer'],
  'clusters.formed': ['label', 'tagger'],
  'label.batch': ['label', 'tagger'],
  'labels.proposed': ['label', 'tagger'],
  'clusters.tagged': ['propagate', 'propagator'],
  'propagate.batch': ['propagate', 'propagator'],
}
/** The stage that a step belongs to */
export const stageOf = (step: Step): Stage => steps[step][0]
const serviceOf = (step: Step): string => steps[step][1]
