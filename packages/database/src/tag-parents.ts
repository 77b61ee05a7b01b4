import type { TagStatus } from './schema/tags.ts'

export interface TagInTree {
  readonly id: number
  readonly status: TagStatus
  readonly mergedInto: number | null
  readonly parentId: number | null
}

/**
 * Which tag in use stands above which, after what people decided: a merged parent is what it went into; in the place of a rejected one, and of
 * one that has become the tag itself, comes what stands above that. Parents that have come to lie in a circle by merges lose one of
 * its links, that of the tag that came last.
 * @param tags in the order of their ids; those left out are taken as in use, with nothing above
 * @returns id of the parent by id of the tag, of those that have one
 */
export function standingParents(tags: readonly TagInTree[]): Map<number, number> {
  const byId = new Map(tags.map((tag) => [tag.id, tag]))
  const parents = new Map<number, number>()
  for (const { id, status, parentId } of tags) {
    if (status === 'merged' || status === 'rejected') continue
    const parent = livingParent(id, parentId, byId)
    if (parent !== null && !isAbove(parents, id, parent)) parents.set(id, parent)
  }
  return parents
}

function livingParent(child: number, parentId: number | null, byId: ReadonlyMap<number, TagInTree>): number | null {
  const passed = new Set<number>()
  let at = parentId
  while (at !== null && !passed.has(at)) {
    passed.add(at)
    const named = byId.get(at)
    const end: number = named?.mergedInto ?? at
    const standsFor = byId.get(end)
    if (end !== child && standsFor?.status !== 'rejected') return end
    at = (end === child ? named : standsFor)?.parentId ?? null
  }
  return null
}

function isAbove(parents: ReadonlyMap<number, number>, ancestor: number, id: number): boolean {
  let at: number | undefined = id
  while (at !== undefined && at !== ancestor) at = parents.get(at)
  return at === ancestor
}
