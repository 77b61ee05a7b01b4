import { decidedByTagloom, tagForm } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import type { Transaction } from './database.ts'
import { type Decide, findTagId } from './decisions.ts'
import { MergeRefused } from './errors.ts'
import type { TagStatus } from './schema/tags.ts'
import { settleTagStates } from './tag-states.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

/** No page has the tag any more, whatever a job finds, until somebody adds or approves it. */
export async function rejectTag(tx: Transaction, d: Decide, tagId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  return decideAboutTag(tx, d, 'rejected', tagId)
}

/** The tag belongs to the vocabulary, which jobs prefer. */
export async function approveTag(tx: Transaction, d: Decide, tagId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  return decideAboutTag(tx, d, 'approved', tagId)
}

/** The label is of the vocabulary, whether the wiki has such a tag already or not: so a wiki is given a vocabulary before its first job. */
export async function approveLabel(tx: Transaction, d: Decide, label: string): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  const form = tagForm(label)
  await tx.orm.execute(sql`
    insert into tags (wiki_id, label, normalised, status, source)
    values (${d.wikiId}, ${label.trim()}, ${form}, 'proposed', 'human') on conflict (wiki_id, normalised) do nothing`)
  return decideAboutTag(tx, d, 'approved', (await findTagId(tx, d.wikiId, form))!)
}

/**
 * Everything that carries the tag is shown with `intoId` instead, or with what that was merged into; what was merged into the tag before
 * follows.
 * @throws MergeRefused where that would be a rejected tag, or the tag itself
 */
export async function mergeTag(tx: Transaction, d: Decide, tagId: number, intoId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  const { rows } = await tx.orm.execute<{ named: string; id: number; label: string; status: TagStatus }>(sql`
    select n.label as named, t.id, t.label, t.status
    from tags n join tags t on t.id = coalesce(n.merged_into, n.id) where n.id = ${intoId}`)
  const { named, id, label, status } = rows[0]!
  if (id === tagId)
    throw new MergeRefused(`"${named}" is merged into "${label}" already: take that back, or approve "${named}", first`)
  if (status === 'rejected') throw new MergeRefused(`"${label}" is rejected: approve it first`)
  return decideAboutTag(tx, d, 'merged', tagId, intoId)
}

/** A decision that is the newest about the tag already stays one, and is then by who said it last. */
async function decideAboutTag(
  tx: Transaction,
  d: Decide,
  kind: 'rejected' | 'approved' | 'merged',
  tagId: number,
  intoId: number | null = null,
): Promise<number> {
  const again = await tx.orm.execute<{ id: string }>(sql`
    update tag_decisions set decided_by = ${d.decidedBy}, created_at = clock_timestamp()
    where id = (select max(id) from tag_decisions where page_id is null and tag_id = ${tagId})
      and decision = ${kind} and into_id is not distinct from ${intoId}
    returning id`)
  const { rows } = again.rows[0]
    ? again
    : await tx.orm.execute<{ id: string }>(sql`
        insert into tag_decisions (wiki_id, tag_id, into_id, decision, decided_by, created_at)
        values (${d.wikiId}, ${tagId}, ${intoId}, ${kind}, ${d.decidedBy}, clock_timestamp()) returning id`)
  await settleTagStates(tx, intoId === null ? [tagId] : [tagId, intoId])
  return Number(rows[0]!.id)
}

/**
 * Merges that a rule makes: the status of a tag that stays is left as it is, people can take them back, and no rule makes them again. With
 * the vocabulary in hold.
 */
export async function joinTags(
  tx: Transaction,
  wikiId: number,
  joins: readonly { readonly id: number; readonly into: number }[],
): Promise<void> {
  if (joins.length === 0) return
  const ids = sql.param(joins.map(({ id }) => id))
  await tx.orm.execute(sql`
    insert into tag_decisions (wiki_id, tag_id, into_id, decision, decided_by)
    select ${wikiId}, j.id, j.into_id, 'merged', ${decidedByTagloom}
    from unnest(${ids}::int[], ${sql.param(joins.map(({ into }) => into))}::int[]) as j (id, into_id)`)
  await tx.orm.execute(sql`update tags set joined_once = true where id = any(${ids}::int[])`)
  await settleTagStates(
    tx,
    joins.flatMap(({ id, into }) => [id, into]),
  )
}
