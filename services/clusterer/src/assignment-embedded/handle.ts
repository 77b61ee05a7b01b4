import { setImmediate } from 'node:timers/promises'
import type { Message } from '@tagloom/bus'
import { events, toMessage } from '@tagloom/contracts'
import {
  endAssignment,
  type PageAssignment,
  type PageToAssign,
  readAssignment,
  readPagesToAssign,
  saveAssignedPages,
  tallyAssignments,
} from '@tagloom/database'
import { assignPages, driftOf } from '@tagloom/kernels'
import type { HandlerDeps } from '@tagloom/service-kit'
import type { AssignmentMetrics } from '../metrics.ts'
import type { CentroidsCache, RunCentroids } from './centroids-cache.ts'

export interface AssignDeps extends HandlerDeps {
  readonly centroids: CentroidsCache
  readonly assignments: AssignmentMetrics
}

/**
 * Gives the pages of an assignment to the topics of its run, or to none, in one transaction with the assignment's end.
 * A second delivery finds the assignment ended and changes nothing.
 */
export async function handleAssignmentEmbedded(
  message: Message<typeof events.assignmentEmbedded>,
  deps: AssignDeps,
): Promise<void> {
  const { wiki_id, assignment_id } = message.data
  const assignment = await readAssignment(deps.db, assignment_id)
  if (assignment?.status !== 'waiting') return
  const run = await deps.centroids.of(assignment.jobId)
  const given = await assign(await readPagesToAssign(deps.db, assignment_id, run.model), run)
  const count = (outcome: string) => given.filter((page) => page.outcome === outcome).length
  const done = { assignment_id, assigned: count('assigned'), left_out: count('left_out') }
  const drift = await deps.relay.commit(async (tx, owe) => {
    if (!(await endAssignment(tx, assignment_id, null))) return undefined
    await saveAssignedPages(tx, assignment_id, given)
    const tally = await tallyAssignments(tx, assignment.jobId)
    const { drift, rerunDue } = driftOf({
      pages: tally?.pages ?? 0,
      leftOut: tally?.leftOut ?? 0,
      expectedShare: tally?.expectedShare ?? 0,
    })
    const sofar = { drift, rerun_due: rerunDue }
    owe(toMessage(events.pagesAssigned, { wiki_id, job_id: assignment.jobId, ...done, ...sofar }, deps.context))
    return sofar
  })
  if (!drift) return
  for (const { outcome } of given) deps.assignments.assigned(outcome)
  deps.log.event('pages_assigned', { ...done, ...drift })
}

/** Multiplications between two looks at the event loop: some 20 ms. */
const multiplicationsAtOnce = 2e7

async function assign(pages: readonly PageToAssign[], run: RunCentroids): Promise<PageAssignment[]> {
  const rowsAtOnce = Math.max(1, Math.floor(multiplicationsAtOnce / Math.max(1, run.centroids.length)))
  const given: PageAssignment[] = []
  for (let first = 0; first < pages.length; first += rowsAtOnce) {
    const block = pages.slice(first, first + rowsAtOnce)
    const { clusters, similarities } = assignPages(unitRows(block, run.dims), Math.max(1, run.dims), run)
    for (const [i, { pageId, contentHash, vector }] of block.entries()) {
      const clusterNo = run.numbers[clusters[i]!] ?? null
      given.push(
        vector
          ? {
              pageId,
              contentHash,
              outcome: clusterNo === null ? 'left_out' : 'assigned',
              clusterNo,
              similarity: similarities[i]!,
            }
          : { pageId, contentHash, outcome: 'without_text', clusterNo: null, similarity: null },
      )
    }
    await setImmediate()
  }
  return given
}

/** A run without clusters has no width: then there is nothing to be near to. A page without a vector is a row of zeros. */
function unitRows(pages: readonly PageToAssign[], dims: number): Float32Array {
  const width = Math.max(1, dims)
  const rows = new Float32Array(pages.length * width)
  for (const [i, { vector }] of pages.entries()) {
    if (!vector || vector.length !== dims) continue
    let square = 0
    for (const value of vector) square += value * value
    const scale = square === 0 ? 0 : 1 / Math.sqrt(square)
    for (let j = 0; j < dims; j++) rows[i * width + j] = vector[j]! * scale
  }
  return rows
}
