import { type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'

export interface ClusterRow {
  readonly jobId: string
  readonly no: number
  readonly layer: number
  readonly parentNo: number | null
  readonly lineageId: string
  readonly lineageEvent: 'continued' | 'born' | 'split' | 'merged'
  readonly size: number
  readonly strength: number
  readonly tags: readonly ClusterTagRow[]
  readonly pages: readonly { readonly id: string; readonly title: string; readonly strength: number }[]
}

interface ClusterTagRow {
  readonly tag_id: number
  readonly label: string
  readonly confidence: number
  readonly method: 'vocabulary' | 'keyphrases' | 'llm'
}

export interface ListClusters {
  readonly jobId: string
  /** 0 is the finest; by default the layer that the record speaks of */
  readonly layer?: number | undefined
  readonly limit: number
  readonly after?: { readonly size: number; readonly no: number } | undefined
}

const pagesShown = 3

/** A job's clusters, largest first, with their tags and the pages that belong to them most. */
export async function listClusters(db: Executor, list: ListClusters): Promise<ClusterRow[]> {
  const conditions: SQL[] = [
    sql`c.job_id = ${list.jobId}`,
    list.layer === undefined ? sql`c.chosen` : sql`c.layer = ${list.layer}`,
  ]
  if (list.after) conditions.push(sql`(c.size, -c.no) < (${list.after.size}, ${-list.after.no})`)
  const { rows } = await db.orm.execute<ClusterRow & Record<string, unknown>>(sql`
    select c.job_id as "jobId", c.no, c.layer, c.parent_no as "parentNo", c.lineage_id as "lineageId",
      c.lineage_event as "lineageEvent", c.size, c.strength,
      coalesce((
        select json_agg(json_build_object('tag_id', t.id, 'label', t.label, 'confidence', x.confidence, 'method', x.method)
                        order by x.rank)
        from (
          select distinct on (coalesce(o.merged_into, o.id)) coalesce(o.merged_into, o.id) as tag_id, ct.confidence, ct.method, ct.rank
          from cluster_tags ct join tags o on o.id = ct.tag_id
          where ct.job_id = c.job_id and ct.cluster_no = c.no
          order by coalesce(o.merged_into, o.id), ct.rank
        ) x join tags t on t.id = x.tag_id and t.status <> 'rejected'
      ), '[]') as tags,
      coalesce((
        select json_agg(json_build_object('id', p.external_id, 'title', p.title, 'strength', p.strength)
                        order by p.strength desc, p.id)
        from (
          select p.id, p.external_id, p.title, m.strength from cluster_members m join pages p on p.id = m.page_id
          where m.job_id = c.job_id and m.cluster_no = c.no order by m.strength desc, p.id limit ${pagesShown}
        ) p
      ), '[]') as pages
    from clusters c where ${sql.join(conditions, sql` and `)}
    order by c.size desc, c.no limit ${list.limit}`)
  return rows
}
