import { createHash } from 'node:crypto'
import type { Lineage } from './rows-to-store.ts'

/** A cluster, by its members' page ids. */
export interface Membership {
  readonly no: number
  readonly layer: number
  readonly pageIds: readonly number[]
}

export interface PreviousMembership extends Membership {
  readonly lineageId: string
}

export interface Lineages {
  /** By the new clusters' numbers */
  readonly lineages: readonly Lineage[]
  /** Lineages of the previous run that no new cluster carries on and that went into none */
  readonly died: readonly string[]
}

/** Shared pages over all pages of both: from here on two clusters are taken to be one topic. */
const leastOverlap = 0.3
/** Share of a cluster's known pages that makes it a part of another */
const mostOf = 0.5

/**
 * Gives each cluster the lineage of the previous run's cluster that it overlaps most (Jaccard, on the pages that both runs know), each
 * lineage at most once. A cluster without one that is mostly a part of an old one has split from it; one that took in most of several
 * has merged them; any other is born. Equal overlaps go to the same layer first, then to lower numbers, so that the result is one.
 * @param jobId makes the ids of new lineages, the same however often the job is clustered
 */
export function matchLineages(
  now: readonly Membership[],
  before: readonly PreviousMembership[],
  jobId: string,
): Lineages {
  const overlaps = overlapsOf(now, before)
  const taken = new Map<number, number>()
  const heirs = new Map<number, number>()
  const best = overlaps
    .filter((o) => o.jaccard >= leastOverlap)
    .sort(
      (a, b) =>
        b.jaccard - a.jaccard || Number(b.sameLayer) - Number(a.sameLayer) || a.now - b.now || a.before - b.before,
    )
  for (const { now: n, before: b } of best) {
    if (taken.has(n) || heirs.has(b)) continue
    taken.set(n, b)
    heirs.set(b, n)
  }
  const absorbed = new Set<number>()
  const lineages = now.map((cluster, n): Lineage => {
    const own = overlaps.filter((o) => o.now === n && o.sameLayer)
    const match = taken.get(n)
    const swallowed = own.filter((o) => o.shared > mostOf * o.beforeKnown).map((o) => o.before)
    for (const b of swallowed) absorbed.add(b)
    const idsOf = (of: readonly number[]) => of.map((b) => before[b]!.lineageId)
    if (match !== undefined) {
      const others = swallowed.filter((b) => b !== match && !heirs.has(b))
      const event = others.length > 0 ? 'merged' : 'continued'
      return { id: before[match]!.lineageId, event, from: idsOf([match, ...others]) }
    }
    const origin = own.find((o) => o.shared > mostOf * o.nowKnown)
    return {
      id: newId(jobId, cluster.no),
      event: origin ? 'split' : 'born',
      from: origin ? idsOf([origin.before]) : [],
    }
  })
  const died = before.filter((_, b) => !heirs.has(b) && !absorbed.has(b)).map((cluster) => cluster.lineageId)
  return { lineages, died }
}

const newId = (jobId: string, no: number): string =>
  createHash('sha256').update(`${jobId}/${no}`).digest('hex').slice(0, 16)

interface Overlap {
  readonly now: number
  readonly before: number
  readonly shared: number
  /** Pages of each that the other run knows */
  readonly nowKnown: number
  readonly beforeKnown: number
  readonly jaccard: number
  readonly sameLayer: boolean
}

function overlapsOf(now: readonly Membership[], before: readonly PreviousMembership[]): Overlap[] {
  const clustersOf = new Map<number, number[]>()
  for (const [b, cluster] of before.entries()) {
    for (const page of cluster.pageIds) {
      const of = clustersOf.get(page)
      if (of) of.push(b)
      else clustersOf.set(page, [b])
    }
  }
  const nowPages = new Set(now.flatMap((cluster) => cluster.pageIds))
  const beforeKnown = before.map((cluster) => cluster.pageIds.filter((page) => nowPages.has(page)).length)
  const overlaps: Overlap[] = []
  for (const [n, cluster] of now.entries()) {
    const shared = new Map<number, number>()
    let known = 0
    for (const page of cluster.pageIds) {
      const of = clustersOf.get(page)
      if (of) known++
      for (const b of of ?? []) shared.set(b, (shared.get(b) ?? 0) + 1)
    }
    for (const [b, count] of shared) {
      const jaccard = count / (known + beforeKnown[b]! - count)
      const sameLayer = cluster.layer === before[b]!.layer
      overlaps.push({
        now: n,
        before: b,
        shared: count,
        nowKnown: known,
        beforeKnown: beforeKnown[b]!,
        jaccard,
        sameLayer,
      })
    }
  }
  return overlaps
}
