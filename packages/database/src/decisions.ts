import { type DecisionKind, decidedByImport } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import { ensureTags } from './imported-tags.ts'
import { utc } from './page-reading.ts'
import { shownTags } from './shown-tags.ts'
import { settleTagStates } from './tag-states.ts'
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

export interface Decide {
  readonly wikiId: number
  readonly decidedBy: string
}

/** A person gives the page a tag, made where the wiki has none of its form. A tag that was rejected before comes back by this. */
export async function addPageTag(tx: Transaction, d: Decide, pageId: number, label: string): Promise<number> {
  const [tagId] = (await ensureTags(tx, d.wikiId, [label], 'human')).values()
  const id = await decidePageTag(tx, d, pageId, tagId!, 'added')
  await settleTagStates(tx, [tagId!])
  return id
}

/** A person takes a tag from the page; jobs and imports do not give it back. */
export async function rejectPageTag(tx: Transaction, d: Decide, pageId: number, tagId: number): Promise<number> {
  await lockVocabulary(tx, d.wikiId)
  return decidePageTag(tx, d, pageId, tagId, 'rejected')
}

/**
 * Of what people decided about a page and a tag the newest counts, the others are kept for when it is taken back. What is the newest
 * already stays one decision. With the vocabulary in hold.
 */
async function decidePageTag(
  tx: Transaction,
  d: Decide,
  pageId: number,
  tagId: number,
  decision: 'added' | 'rejected',
): Promise<number> {
  const again = await tx.orm.execute<{ id: string }>(sql`
    update tag_decisions set decided_by = ${d.decidedBy}, created_at = clock_timestamp()
    where decision = ${decision} and id = (
      select id from tag_decisions
      where wiki_id = ${d.wikiId} and page_id = ${pageId} and tag_id = ${tagId} and decided_by <> ${decidedByImport}
      order by created_at desc, id desc limit 1)
    returning id`)
  return again.rows[0] ? Number(again.rows[0].id) : insertDecision(tx, d, decision, pageId, tagId)
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
    from (${shownTags(d.wikiId, jobId, (id) => sql`${id} = ${pageId}`)}) shown where origin <> 'person'`)
  return insertDecision(tx, d, 'locked', pageId, null)
}

async function insertDecision(
  tx: Transaction,
  d: Decide,
  kind: DecisionKind,
  pageId: number | null,
  tagId: number | null,
): Promise<number> {
  const { rows } = await tx.orm.execute<{ id: string }>(sql`
    insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by, created_at)
    values (${d.wikiId}, ${pageId}, ${tagId}, ${kind}, ${d.decidedBy}, clock_timestamp()) returning id`)
  return Number(rows[0]!.id)
}

/**
 * Takes a decision back, as if it had not been made: a tag is again what the decisions before make of it, or what it is by itself.
 * @returns false when there is no such decision
 */
export async function revokeDecision(tx: Transaction, wikiId: number, decisionId: number): Promise<boolean> {
  await lockVocabulary(tx, wikiId)
  const { rows } = await tx.orm.execute<{ kind: DecisionKind; tag_id: number | null; into_id: number | null }>(sql`
    delete from tag_decisions where wiki_id = ${wikiId} and id = ${decisionId}
    returning decision as kind, tag_id, into_id`)
  const row = rows[0]
  if (!row) return false
  if (row.tag_id === null) return true
  if (row.kind === 'added') await withoutUse(tx, row.tag_id)
  await settleTagStates(tx, row.into_id === null ? [row.tag_id] : [row.tag_id, row.into_id])
  return true
}

/** A tag that came with no page and that no page was given is of nobody's choice by itself. */
async function withoutUse(tx: Transaction, tagId: number): Promise<void> {
  await tx.orm.execute(sql`
    update tags set own_status = 'proposed'
    where id = ${tagId} and source <> 'imported'
      and not exists (select from tag_decisions where tag_id = ${tagId} and decision = 'added')`)
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
      m.label as "into", d.decided_by as "decidedBy",
      ${utc(sql`d.created_at`)} as "createdAt"
    from tag_decisions d
      left join pages p on p.id = d.page_id left join tags t on t.id = d.tag_id left join tags m on m.id = d.into_id
    where ${sql.join(conditions, sql` and `)} order by d.id limit ${list.limit}`)
  return rows.map((row) => ({ ...row, id: Number(row.id) }))
}
