import { events, toMessage } from '@tagloom/contracts'
import { type AwaitedAssignment, claimInbox, endAssignment } from '@tagloom/database'
import type { Relay } from '@tagloom/service-kit'

export interface ReviveAssignmentsDeps {
  readonly relay: Pick<Relay, 'commit'>
  readonly maxRevivals: number
  /** @param failure why it was given up; undefined when its message was sent again */
  readonly onAssignment: (assignment: AwaitedAssignment, failure: string | undefined) => void
}

/** The inbox's consumer of the watchdog, so that revivals are known over restarts and to every gateway. */
const consumer = 'gateway-watchdog'

/**
 * The watchdog's rule for assignments, which have no stages: one that is waited for while, twice in a row, nothing waits, nothing is in hand
 * and nothing is owed has lost its message. It gets another, `maxRevivals` times, then it fails. Sending what was not lost is harmless: the
 * tagger embeds what has no vector, and the clusterer knows an assignment that has ended.
 */
export class AssignmentReviver {
  readonly #deps: ReviveAssignmentsDeps
  #quiet = new Set<string>()

  constructor(deps: ReviveAssignmentsDeps) {
    this.#deps = deps
  }

  async look(awaited: readonly AwaitedAssignment[], isQuiet: boolean): Promise<void> {
    const before = this.#quiet
    this.#quiet = new Set()
    if (!isQuiet) return
    for (const assignment of awaited) {
      if (before.has(assignment.id)) await this.#revive(assignment)
      else this.#quiet.add(assignment.id)
    }
  }

  async #revive(assignment: AwaitedAssignment): Promise<void> {
    const { relay, maxRevivals, onAssignment } = this.#deps
    const failure = await relay.commit(async (tx, owe) => {
      const data = { wiki_id: assignment.wikiId, assignment_id: assignment.id }
      for (let nth = 1; nth <= maxRevivals; nth++) {
        if (!(await claimInbox(tx, consumer, `${assignment.id}.revival.${nth}`))) continue
        owe(toMessage(events.assignmentRequested, data, { source: 'gateway' }, `revival.${nth}`))
        return undefined
      }
      const reason = `nobody took it on after ${maxRevivals} more tries: check that tagger and clusterer run, then ask again`
      await endAssignment(tx, assignment.id, reason)
      return reason
    })
    onAssignment(assignment, failure)
  }
}
