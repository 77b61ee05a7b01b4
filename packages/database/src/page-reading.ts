import { tagForm } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'
import { shownTags } from './shown-tags.ts'

export interface PageTagRow {
  readonly tagId: number
  readonly label: string
  readonly confidence: number | null
  readonly origin: 'cluster' | 'similarity' | 'person'
  readonly jobId: string | null
  readonly clusterNo: number | null
  readonly decidedBy: string | null
}

export interface PageRow {
  readonly id: number
  readonly externalId: string
  readonly title: string
  /** Only where one page was read */
  readonly text?: string
  readonly contentHash: string
  readonly characters: number
  readonly locked: boolean
  readonly createdAt: string
  readonly updatedAt: string
  readonly tags: readonly PageTagRow[]
}

export interface ListPages {
  readonly wikiId: number
  /** Whose tags are shown; null before the first job */
  readonly jobId: string | null
  readonly limit: number
  readonly afterId?: number | undefined
  /** Label of a tag that the pages show */
  readonly tag?: string | undefined
  /** Only pages that show none (true) or some (false) */
  readonly untagged?: boolean | undefined
}

/** Pages in the order in which they were stored, with the tags that they show. */
export async function listPages(db: Executor, list: ListPages): Promise<PageRow[]> {
  const shown = shownTags(list.wikiId, list.jobId, (pageId) => sql`${pageId} = p.id`)
  const conditions: SQL[] = [sql`p.wiki_id = ${list.wikiId}`]
  if (list.afterId !== undefined) conditions.push(sql`p.id > ${list.afterId}`)
  if (list.untagged === true) conditions.push(sql`not exists (${shown})`)
  if (list.untagged === false) conditions.push(sql`exists (${shown})`)
  if (list.tag !== undefined) conditions.push(hasTag(list.wikiId, list.jobId, list.tag, shown))
  return select(db, list.wikiId, list.jobId, conditions, list.limit, sql``)
}

export async function readPage(
  db: Executor,
  wikiId: number,
  jobId: string | null,
  externalId: string,
): Promise<PageRow | undefined> {
  const conditions = [sql`p.wiki_id = ${wikiId}`, sql`p.external_id = ${externalId}`]
  const rows = await select(db, wikiId, jobId, conditions, 1, sql`, p.text`)
  return rows[0]
}

/** The candidates come from indexes; the overlay then decides. */
function hasTag(wikiId: number, jobId: string | null, label: string, shown: SQL): SQL {
  const form = tagForm(label)
  const named = sql`(select coalesce(n.merged_into, n.id) from tags n where n.wiki_id = ${wikiId} and n.normalised = ${form})`
  const same = sql`(select m.id from tags m where m.wiki_id = ${wikiId} and coalesce(m.merged_into, m.id) = ${named})`
  return sql`p.id in (
      select page_id from page_tags where job_id = ${jobId} and tag_id in ${same}
      union select page_id from tag_decisions where wiki_id = ${wikiId} and tag_id in ${same})
    and exists (select from (${shown}) x where x.tag_id = ${named})`
}

type RawPage = Omit<PageRow, 'id' | 'tags'> & { id: string }
type RawTag = PageTagRow & { pageId: string }

async function select(
  db: Executor,
  wikiId: number,
  jobId: string | null,
  conditions: SQL[],
  limit: number,
  more: SQL,
): Promise<PageRow[]> {
  const pages = await db.orm.execute<RawPage & Record<string, unknown>>(sql`
    select p.id, p.external_id as "externalId", p.title, p.content_hash as "contentHash", length(p.text) as characters,
      exists (select from tag_decisions d where d.wiki_id = p.wiki_id and d.page_id = p.id and d.decision = 'locked') as locked,
      ${utc(sql`p.created_at`)} as "createdAt", ${utc(sql`p.updated_at`)} as "updatedAt"${more}
    from pages p where ${sql.join(conditions, sql` and `)} order by p.id limit ${limit}`)
  if (pages.rows.length === 0) return []
  const ids = sql.param(pages.rows.map((row) => row.id))
  const tags = await db.orm.execute<RawTag & Record<string, unknown>>(sql`
    select page_id as "pageId", tag_id as "tagId", label, confidence, origin, job_id as "jobId", cluster_no as "clusterNo",
      decided_by as "decidedBy"
    from (${shownTags(wikiId, jobId, (pageId) => sql`${pageId} = any(${ids}::bigint[])`)}) shown
    order by page_id, confidence desc nulls first, label`)
  const byPage = Map.groupBy(tags.rows, (row) => row.pageId)
  return pages.rows.map((row) => ({
    ...row,
    id: Number(row.id),
    tags: (byPage.get(row.id) ?? []).map(({ pageId: _, ...tag }) => tag),
  }))
}

/** ISO 8601 with milliseconds, as JavaScript writes it. */
export const utc = (column: SQL): SQL => sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** Deletes a page with its embedding and what people decided about it; rows of finished jobs stay, and show it no more. */
export const deletePage = (db: Database, wikiId: number, externalId: string): Promise<boolean> =>
  db.transaction(async (tx) => {
    const { rows } = await tx.orm.execute<{ id: string }>(
      sql`delete from pages where wiki_id = ${wikiId} and external_id = ${externalId} returning id`,
    )
    const id = rows[0]?.id
    if (id === undefined) return false
    await tx.orm.execute(sql`delete from tag_decisions where wiki_id = ${wikiId} and page_id = ${id}`)
    return true
  })
