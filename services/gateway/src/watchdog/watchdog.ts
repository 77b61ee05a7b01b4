import type { Backlog } from '@tagloom/bus'
import { events, type Stage, toMessage } from '@tagloom/contracts'
import {
  claimInbox,
  countOutbox,
  type Database,
  failJob,
  hasStageMoved,
  type Job,
  listAwaitedAssignments,
  listRunningJobs,
  listWaitingWikis,
  readLastProgress,
  readRevivals,
  type Transaction,
  withTryLock,
} from '@tagloom/database'
import type { Owe, Relay } from '@tagloom/service-kit'
import { beginNextJob } from '../job-life/begin.ts'
import { type Owed, readOwed, type Step } from '../job-life/owed.ts'
import { AssignmentReviver, type ReviveAssignmentsDeps } from './revive-assignments.ts'

/*
 * A running job is always owed to somebody: a message waits in the stream, is in hand, or lies in the outbox. When JetStream loses its
 * store, nobody has it any more. The watchdog sees that and sends the message again, built from the job's rows.
 * A job is stuck when, twice in a row at the same place, nothing waits, nothing is in hand and nothing is owed; or when it has not moved
 * for `stallMs`, which also finds a message lost while other jobs keep the workers busy.
 * At one place a job is revived `maxRevivals` times, then it fails; revivals of one that waits in line, its messages behind those of jobs
 * that move, do not count. Sending what was not lost is harmless: handlers know it.
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
  readonly onAssignment: ReviveAssignmentsDeps['onAssignment']
}

/** Assignments that one look sees, the oldest first */
const mostAssignments = 1_000
/** Any constant that no other one-key advisory lock of ours uses */
const lockKey = 7_424_567
/** Those who carry a job on; a metrics-aggregator that is behind holds up no job. */
const workers = /tagger|clusterer|propagator/

export class Watchdog {
  readonly #deps: WatchdogDeps
  readonly #assignments: AssignmentReviver
  /** Job → place at which it was last seen with nothing going on */
  #quietAt = new Map<string, string>()

  constructor(deps: WatchdogDeps) {
    this.#deps = deps
    this.#assignments = new AssignmentReviver(deps)
  }

  /** Looks once. Of several gateways one looks at a time. */
  async look(): Promise<void> {
    const { db, relay } = this.#deps
    await withTryLock(db, lockKey, async () => {
      for (const wikiId of await listWaitingWikis(db)) await relay.commit((tx, owe) => beginNextJob(tx, owe, wikiId))
      const jobs = await listRunningJobs(db)
      const assignments = await listAwaitedAssignments(db, mostAssignments)
      const backlog = jobs.length + assignments.length > 0 ? await this.#deps.backlog() : []
      const quiet = await this.#isQuiet(backlog)
      await this.#reviveStuck(jobs, backlog, quiet)
      await this.#assignments.look(assignments, quiet)
    })
  }

  async #reviveStuck(jobs: readonly Job[], backlog: readonly Backlog[], quiet: boolean): Promise<void> {
    const quietAt = new Map<string, string>()
    for (const job of jobs) {
      const { place, step } = await readOwed(this.#deps.db, job)
      const moved = (await readLastProgress(this.#deps.db, job.id)).getTime()
      const idleMs = Date.now() - moved
      if (quiet && this.#quietAt.get(job.id) === place) await this.#revive(job, place, idleMs)
      else if (idleMs > this.#deps.stallMs) await this.#reviveStalled(job, place, step, idleMs, backlog)
      else if (quiet) quietAt.set(job.id, place)
    }
    this.#quietAt = quietAt
  }

  async #isQuiet(backlog: readonly Backlog[]): Promise<boolean> {
    if (backlog.some((row) => workers.test(row.durable) && row.pending + row.inFlight > 0)) return false
    return (await countOutbox(this.#deps.db)) === 0
  }

  /** When the job has also not been revived for as long; in a line, for twice as long each time. */
  async #reviveStalled(job: Job, place: string, step: Step, idleMs: number, backlog: readonly Backlog[]) {
    const { db, stallMs } = this.#deps
    const { last } = await readRevivals(db, consumer, nameOf(job, place))
    const sinceMs = Math.min(idleMs, Date.now() - (last?.getTime() ?? 0))
    if (sinceMs <= stallMs) return
    const durable = `${serviceOf(step)}-${step.replaceAll('.', '-')}`
    const waits = backlog.some((row) => row.durable.endsWith(durable) && row.pending > 0)
    const inLine = waits && (await hasStageMoved(db, stageOf(step), stallMs))
    if (!inLine) return this.#revive(job, place, idleMs)
    const { count } = await readRevivals(db, consumer, `${nameOf(job, place)}line.`)
    if (sinceMs > stallMs * 2 ** count) await this.#revive(job, place, idleMs, `line.${count + 1}`)
  }

  /** @param inLine how a revival is named that does not count, since the workers are busy with others */
  async #revive(job: Job, place: string, idleMs: number, inLine?: string): Promise<void> {
    const { relay, maxRevivals, onRevived, onGivenUp } = this.#deps
    const done = await relay.commit(async (tx, owe) => {
      const suffix = await claimRevival(tx, job, place, inLine ? [inLine] : counted(maxRevivals))
      const owed = await readOwed(tx, job, suffix)
      if (suffix !== undefined) owe(...owed.messages)
      if (suffix !== undefined || inLine) return { owed }
      return { owed, reason: await giveUp(tx, owe, job, owed.step, maxRevivals) }
    })
    if (done.reason === undefined) onRevived({ job, owed: done.owed, idleSeconds: idleMs / 1000 })
    else onGivenUp({ job, owed: done.owed, reason: done.reason })
  }
}

/** Revivals are noted in the inbox, so that they are known over restarts and to every gateway. */
const consumer = 'gateway-watchdog'
const nameOf = (job: Job, place: string): string => `${job.id}.revival.${place}.`
const counted = (most: number): string[] => Array.from({ length: most }, (_, before) => String(before + 1))

/** Takes the first of these names that is free. @returns undefined when none is */
async function claimRevival(
  tx: Transaction,
  job: Job,
  place: string,
  names: readonly string[],
): Promise<string | undefined> {
  for (const name of names) {
    if (await claimInbox(tx, consumer, `${nameOf(job, place)}${name}`)) return `revival.${place}.${name}`
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
