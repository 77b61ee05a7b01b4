import { type DecisionKind, tagForm } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { ensureTags } from './imported-tags.ts'
import { utc } from './page-reading.ts'
import { shownTags } from './shown-tags.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

export interface DecisionRow {
  readonly id: number
  readonly kind: DecisionKind
  readonly pageId: string | null
  readonly tag: string | null
  readonly into: string | null
  readonly decidedBy: string
  readonly createdAt: string
}

/** The page's internal id, or undefined. */
export async function findPageId(db: Executor, wikiId: number, externalId: string): Promise<number | undefined> {
  const { rows } = await db.orm.execute<{ id: string }>(
    sql`select id from pages where wiki_id = ${wikiId} and external_id = ${externalId}`,
  )
  return rows[0] && Number(rows[0].id)
}

/** The id that a page was imported with; a page that is gone is named by its number. */
export async function readExternalId(db: Executor, pageId: number): Promise<string> {
  const { rows } = await db.orm.execute<{ external_id: string }>(
    sql`select external_id from pages where id = ${pageId}`,
  )
  return rows[0]?.external_id ?? `number ${pageId}`
}

/** Ids of the wiki's pages by external id; those that are not there are left out. */
export async function findPageIds(
  db: Executor,
  wikiId: number,
  externalIds: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await db.orm.execute<{ id: string; external_id: string }>(sql`
    select id, external_id from pages
    where wiki_id = ${wikiId} and external_id = any(${sql.param(externalIds)}::text[])`)
  return new Map(rows.map((row) => [row.external_id, Number(row.id)]))
}

/** The tag of this label's form itself (not the one it was merged into), or undefined. */
export async function findTagId(db: Executor, wikiId: number, form: string): Promise<number | undefined> {
  const { rows } = await db.orm.execute<{ id: number }>(
    sql`select id from tags where wiki_id = ${wikiId} and normalised = ${form}`,
  )
  return rows[0]?.id
}

interface Decide {
  readonly wikiId: number
  readonly decidedBy: string
}

/** A person gives the page a tag, made where the wiki has none of its form. A tag that was rejected before comes back by this. */
export async function addPageTag(tx: Transaction, d: Decide, pageId: number, label: string): Promise<number> {
  const [tagId] = (await ensureTags(tx, d.wikiId, [label], 'human')).values()
  await tx.orm.execute(sql`update tags set status = 'approved' where id = ${tagId} and status = 'rejected'`)
  return decidePageTag(tx, d, pageId, tagId!, 'added')
}

/** A person takes a tag from the page; jobs do not give it back. */
export const rejectPageTag = (tx: Transaction, d: Decide, pageId: number, tagId: number): Promise<number> =>
  decidePageTag(tx, d, pageId, tagId, 'rejected')

async function decidePageTag(
  tx: Transaction,
  d: Decide,
  pageId: number,
  tagId: number,
  decision: 'added' | 'rejected',
): Promise<number> {
  const { rows } = await tx.orm.execute<{ id: string }>(sql`
    insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by)
    values (${d.wikiId}, ${pageId}, ${tagId}, ${decision}, ${d.decidedBy})
    on conflict (wiki_id, page_id, tag_id) where page_id is not null
    do update set decision = excluded.decision, decided_by = excluded.decided_by, created_at = now()
    returning id`)
  return Number(rows[0]!.id)
}

/**
 * Freezes a page: the tags that it shows now become decisions, and no job changes it until the lock is taken back.
 * A second lock changes nothing.
 */
export async function lockPage(tx: Transaction, d: Decide, jobId: string | null, pageId: number): Promise<number> {
  await tx.orm.execute(sql`select from pages where id = ${pageId} for update`)
  const held = await tx.orm.execute<{ id: string }>(
    sql`select id from tag_decisions where wiki_id = ${d.wikiId} and page_id = ${pageId} and decision = 'locked'`,
  )
  if (held.rows[0]) return Number(held.rows[0].id)
  await tx.orm.execute(sql`
    insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by)
    select ${d.wikiId}, page_id, tag_id, 'added', ${d.decidedBy}
    from (${shownTags(d.wikiId, jobId, (id) => sql`${id} = ${pageId}`)}) shown where origin <> 'person'
    on conflict (wiki_id, page_id, tag_id) where page_id is not null do nothing`)
  return insertDecision(tx, d, 'locked', pageId, null)
}

/** No page has the tag any more, whatever a job finds, until somebody adds or approves it. */
export async function rejectTag(tx: Transaction, d: Decide, tagId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  await tx.orm.execute(
    sql`update tags set status = 'rejected', merged_into = null, merged_by = null where id = ${tagId}`,
  )
  return replaceTagDecision(tx, d, 'rejected', tagId)
}

/** The tag belongs to the vocabulary, which jobs prefer. */
export async function approveTag(tx: Transaction, d: Decide, tagId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  await tx.orm.execute(
    sql`update tags set status = 'approved', merged_into = null, merged_by = null where id = ${tagId}`,
  )
  return replaceTagDecision(tx, d, 'approved', tagId)
}

/** The label is of the vocabulary, whether the wiki has such a tag already or not: so a wiki is given a vocabulary before its first job. */
export async function approveLabel(tx: Transaction, d: Decide, label: string): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  const known = await findTagId(tx, d.wikiId, tagForm(label))
  return approveTag(tx, d, known ?? (await ensureTags(tx, d.wikiId, [label], 'human')).values().next().value!)
}

/** Everything that carries the tag is shown with `intoId` instead; tags merged into it before follow, so a merge is one step always. */
export async function mergeTag(tx: Transaction, d: Decide, tagId: number, intoId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  await tx.orm.execute(sql`
    update tags set status = 'merged', merged_into = ${intoId}, merged_by = ${d.decidedBy}
    where id = ${tagId} or merged_into = ${tagId}`)
  await tx.orm.execute(sql`
    update tags set status = 'approved', merged_into = null, merged_by = null where id = ${intoId}`)
  return replaceTagDecision(tx, d, 'merged', tagId)
}

/** About a tag as a whole the last decision counts, and only that is kept. */
async function replaceTagDecision(tx: Transaction, d: Decide, kind: DecisionKind, tagId: number): Promise<number> {
  await tx.orm.execute(
    sql`delete from tag_decisions where wiki_id = ${d.wikiId} and page_id is null and tag_id = ${tagId}`,
  )
  return insertDecision(tx, d, kind, null, tagId)
}

async function insertDecision(
  tx: Transaction,
  d: Decide,
  kind: DecisionKind,
  pageId: number | null,
  tagId: number | null,
): Promise<number> {
  const { rows } = await tx.orm.execute<{ id: string }>(sql`
    insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by)
    values (${d.wikiId}, ${pageId}, ${tagId}, ${kind}, ${d.decidedBy}) returning id`)
  return Number(rows[0]!.id)
}

/**
 * Takes a decision back, as if it had not been made: a tag that was merged, rejected or approved is a proposed one again.
 * @returns false when there is no such decision
 */
export async function revokeDecision(tx: Transaction, wikiId: number, decisionId: number): Promise<boolean> {
  await lockVocabulary(tx, wikiId)
  const { rows } = await tx.orm.execute<{ page_id: string | null; tag_id: number | null }>(sql`
    delete from tag_decisions where wiki_id = ${wikiId} and id = ${decisionId} returning page_id, tag_id`)
  const row = rows[0]
  if (!row) return false
  if (row.page_id === null && row.tag_id !== null)
    await tx.orm.execute(
      sql`update tags set status = 'proposed', merged_into = null, merged_by = null where id = ${row.tag_id}`,
    )
  return true
}

export interface ListDecisions {
  readonly wikiId: number
  readonly limit: number
  readonly afterId?: number | undefined
  readonly kind?: DecisionKind | undefined
  readonly id?: number | undefined
}

export async function listDecisions(db: Executor, list: ListDecisions): Promise<DecisionRow[]> {
  const conditions: SQL[] = [sql`d.wiki_id = ${list.wikiId}`]
  if (list.afterId !== undefined) conditions.push(sql`d.id > ${list.afterId}`)
  if (list.kind) conditions.push(sql`d.decision = ${list.kind}`)
  if (list.id !== undefined) conditions.push(sql`d.id = ${list.id}`)
  const { rows } = await db.orm.execute<Omit<DecisionRow, 'id'> & { id: string }>(sql`
    select d.id, d.decision as kind, p.external_id as "pageId", t.label as tag,
      case when d.decision = 'merged' then m.label end as "into", d.decided_by as "decidedBy",
      ${utc(sql`d.created_at`)} as "createdAt"
    from tag_decisions d
      left join pages p on p.id = d.page_id left join tags t on t.id = d.tag_id left join tags m on m.id = t.merged_into
    where ${sql.join(conditions, sql` and `)} order by d.id limit ${list.limit}`)
  return rows.map((row) => ({ ...row, id: Number(row.id) }))
}
