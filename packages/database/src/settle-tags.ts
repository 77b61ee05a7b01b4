import type { TagStatus } from './schema/tags.ts'

export interface TagToSettle {
  readonly id: number
  /** What it is where no decision about it as a whole stands */
  readonly ownStatus: 'proposed' | 'approved'
}

/** A decision about a tag as a whole. */
export interface WholeTagDecision {
  readonly tagId: number
  readonly kind: 'approved' | 'rejected' | 'merged'
  /** Of a merge: the tag that was named, which may have been merged itself */
  readonly intoId: number | null
  readonly decidedBy: string
  /** Of a merge: nobody's choice but a rule's, which approves no tag */
  readonly byRule: boolean
  /** Of a rejection: a person gave the tag to a page since */
  readonly overruled: boolean
}

export interface TagState {
  readonly status: TagStatus
  readonly mergedInto: number | null
  readonly mergedBy: string | null
}

/**
 * What tags are by the decisions that stand. The newest about a tag counts; a merge that would lead back to the tag, by merges that are
 * newer, is passed over for the decision before it. A tag stands for the end of its merges; a tag into which a person merged another is
 * approved. It looks at nothing else, so a decision that is deleted leaves no trace.
 * @param tags with every tag that a decision names, and that is named together with that, and so on
 * @param decisions about them, newest first
 */
export function settleTags(
  tags: readonly TagToSettle[],
  decisions: readonly WholeTagDecision[],
): ReadonlyMap<number, TagState> {
  const counts = new Map<number, WholeTagDecision>()
  const next = (id: number): number | null => counts.get(id)?.intoId ?? null
  const endOf = (id: number): number => {
    let end = id
    for (let into = next(end); into !== null; into = next(end)) end = into
    return end
  }
  for (const decision of decisions) {
    if (counts.has(decision.tagId)) continue
    if (decision.intoId !== null && endOf(decision.intoId) === decision.tagId) continue
    counts.set(decision.tagId, decision)
  }
  const chosen = new Set(
    [...counts.values()].flatMap(({ intoId, byRule }) => (intoId === null || byRule ? [] : [endOf(intoId)])),
  )
  return new Map(tags.map(({ id, ownStatus }) => [id, stateOf(ownStatus, counts.get(id), chosen.has(id), endOf(id))]))
}

function stateOf(
  own: 'proposed' | 'approved',
  counts: WholeTagDecision | undefined,
  isChosen: boolean,
  end: number,
): TagState {
  if (counts?.kind === 'merged') return { status: 'merged', mergedInto: end, mergedBy: counts.decidedBy }
  if (counts?.kind === 'rejected' && !counts.overruled) return { status: 'rejected', mergedInto: null, mergedBy: null }
  return { status: counts || isChosen ? 'approved' : own, mergedInto: null, mergedBy: null }
}
