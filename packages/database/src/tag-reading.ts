import { tagForm } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import type { TagStatus } from './schema/tags.ts'
import { shownTags } from './shown-tags.ts'

export interface TagRow {
  readonly id: number
  readonly label: string
  readonly status: TagStatus
  readonly source: 'imported' | 'human' | 'keyphrases' | 'llm'
  readonly mergedInto: string | null
  readonly pageCount: number
  readonly clusterCount: number
}

export interface ListTags {
  readonly wikiId: number
  readonly jobId: string | null
  readonly limit: number
  readonly after?: { readonly pageCount: number; readonly id: number } | undefined
  /** By default those in use: proposed and approved */
  readonly status?: TagStatus | undefined
  readonly search?: string | undefined
}

/** The wiki's tags, those on most pages first. */
export async function listTags(db: Executor, list: ListTags): Promise<TagRow[]> {
  const existing = (pageId: SQL) => sql`${pageId} in (select id from pages where wiki_id = ${list.wikiId})`
  const conditions: SQL[] = [
    sql`t.wiki_id = ${list.wikiId}`,
    list.status === undefined ? sql`t.status in ('proposed', 'approved')` : sql`t.status = ${list.status}`,
  ]
  if (list.search !== undefined)
    conditions.push(sql`(position(${tagForm(list.search)} in t.normalised) > 0
      or position(lower(${list.search}) in lower(t.label)) > 0)`)
  if (list.after) conditions.push(sql`(coalesce(n.pages, 0), -t.id) < (${list.after.pageCount}, ${-list.after.id})`)
  const { rows } = await db.orm.execute<TagRow & Record<string, unknown>>(sql`
    with on_pages as (
      select tag_id, count(*)::int as pages from (${shownTags(list.wikiId, list.jobId, existing)}) shown group by tag_id
    ), on_clusters as (
      select coalesce(t.merged_into, t.id) as tag_id, count(distinct c.cluster_no)::int as clusters
      from cluster_tags c join tags t on t.id = c.tag_id where c.job_id = ${list.jobId} group by 1
    )
    select t.id, t.label, t.status, t.source, m.label as "mergedInto",
      coalesce(n.pages, 0) as "pageCount", coalesce(c.clusters, 0) as "clusterCount"
    from tags t
      left join tags m on m.id = t.merged_into
      left join on_pages n on n.tag_id = t.id
      left join on_clusters c on c.tag_id = t.id
    where ${sql.join(conditions, sql` and `)}
    order by "pageCount" desc, t.id limit ${list.limit}`)
  return rows
}
