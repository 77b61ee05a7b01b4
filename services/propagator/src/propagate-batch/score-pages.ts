import type { Membership, PageDecisions, PageTagToStore } from '@tagloom/database'
import { type PropagateOptions, tagsOfPage } from '@tagloom/kernels'
import { breathe } from './breathe.ts'
import type { JobTags } from './job-tags.ts'

export interface PagesToScore {
  readonly pageIds: readonly number[]
  readonly vectors: ReadonlyMap<number, Float32Array>
  readonly memberships: ReadonlyMap<number, readonly Membership[]>
  readonly decisions: ReadonlyMap<number, PageDecisions>
}

export interface ScoredPages {
  readonly rows: readonly PageTagToStore[]
  /** Number of tags of each page, in the order of the pages */
  readonly counts: readonly number[]
  readonly conflicts: number
}

/** Work between two breaths, ms */
const SLICE_MS = 20

/** The tags of each page, in slices that leave the event loop free. @param signal ends it between two slices */
export async function scorePages(
  pages: PagesToScore,
  tags: JobTags,
  options: PropagateOptions,
  signal: AbortSignal,
): Promise<ScoredPages> {
  const rowOf = new Map(tags.tagIds.map((id, row) => [id, row]))
  const rows: PageTagToStore[] = []
  const counts: number[] = []
  let conflicts = 0
  let sliceEnds = performance.now() + SLICE_MS
  for (const pageId of pages.pageIds) {
    const vector = pages.vectors.get(pageId)
    const page = {
      row: vector ? 0 : -1,
      memberships: pages.memberships.get(pageId) ?? [],
      forbidden: forbidden(pages.decisions.get(pageId), tags.rejected, rowOf),
    }
    const found = tagsOfPage(page, vector ?? new Float32Array(), tags, options)
    counts.push(found.tags.length)
    conflicts += found.conflicts
    for (const { tag, confidence, origin, cluster } of found.tags) {
      rows.push({ pageId, tagId: tags.tagIds[tag]!, confidence, origin, clusterNo: cluster })
    }
    if (performance.now() < sliceEnds) continue
    await breathe()
    signal.throwIfAborted()
    sliceEnds = performance.now() + SLICE_MS
  }
  return { rows, counts, conflicts }
}

function forbidden(
  decisions: PageDecisions | undefined,
  rejected: ReadonlySet<number>,
  rowOf: ReadonlyMap<number, number>,
): ReadonlySet<number> | true {
  if (!decisions) return rejected
  if (decisions.locked) return true
  const rows = [...decisions.rejected].flatMap((id) => rowOf.get(id) ?? [])
  return new Set([...rejected, ...rows])
}
