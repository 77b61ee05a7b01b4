import { tagForm } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import type { TagStatus } from './schema/tags.ts'
import { shownTags } from './shown-tags.ts'
import { standingParents, type TagInTree } from './tag-parents.ts'

export interface TagRow {
  readonly id: number
  readonly label: string
  readonly status: TagStatus
  readonly source: 'imported' | 'human' | 'keyphrases' | 'llm'
  readonly mergedInto: string | null
  readonly pageCount: number
  readonly clusterCount: number
  /** The broader tag that stands above it now */
  readonly parent: { readonly id: number; readonly label: string } | null
  /** Tags in use whose parent it is */
  readonly childCount: number
}

export interface ListTags {
  readonly wikiId: number
  readonly jobId: string | null
  readonly limit: number
  readonly after?: { readonly pageCount: number; readonly id: number } | undefined
  /** By default those in use: proposed and approved; of one tag by its id any */
  readonly status?: TagStatus | undefined
  readonly id?: number | undefined
  readonly search?: string | undefined
}

/** The wiki's tags, those on most pages first. */
export async function listTags(db: Executor, list: ListTags): Promise<TagRow[]> {
  const existing = (pageId: SQL) => sql`${pageId} in (select id from pages where wiki_id = ${list.wikiId})`
  const conditions: SQL[] = [sql`t.wiki_id = ${list.wikiId}`]
  if (list.id !== undefined) conditions.push(sql`t.id = ${list.id}`)
  else if (list.status !== undefined) conditions.push(sql`t.status = ${list.status}`)
  else conditions.push(sql`t.status in ('proposed', 'approved')`)
  if (list.search !== undefined)
    conditions.push(sql`(position(${tagForm(list.search)} in t.normalised) > 0
      or position(lower(${list.search}) in lower(t.label)) > 0)`)
  if (list.after) conditions.push(sql`(coalesce(n.pages, 0), -t.id) < (${list.after.pageCount}, ${-list.after.id})`)
  const ofTag = list.id === undefined ? sql`` : sql`where tag_id = ${list.id}`
  const { rows } = await db.orm.execute<Omit<TagRow, 'parent' | 'childCount'> & Record<string, unknown>>(sql`
    with on_pages as (
      select tag_id, count(*)::int as pages from (${shownTags(list.wikiId, list.jobId, existing)}) shown ${ofTag} group by tag_id
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
  return withParents(db, list.wikiId, rows)
}

async function withParents(
  db: Executor,
  wikiId: number,
  rows: readonly Omit<TagRow, 'parent' | 'childCount'>[],
): Promise<TagRow[]> {
  if (rows.length === 0) return []
  const tree = await db.orm.execute<TagInTree & Record<string, unknown>>(sql`
    select id, status, merged_into as "mergedInto", parent_id as "parentId" from tags
    where wiki_id = ${wikiId} and (parent_id is not null or status in ('merged', 'rejected')) order by id`)
  const parents = standingParents(tree.rows)
  const children = Map.groupBy(parents, ([, parent]) => parent)
  const shown = rows.flatMap(({ id }) => parents.get(id) ?? [])
  const { rows: labels } = await db.orm.execute<{ id: number; label: string }>(
    sql`select id, label from tags where id = any(${sql.param(shown)}::int[])`,
  )
  const byId = new Map(labels.map((tag) => [tag.id, tag]))
  return rows.map((row) => ({
    ...row,
    parent: byId.get(parents.get(row.id) ?? -1) ?? null,
    childCount: children.get(row.id)?.length ?? 0,
  }))
}
