import { sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Executor, Transaction } from './database.ts'
import { notGivenSince, notTakenFromPage } from './shown-tags.ts'
import { floatsOf } from './vectors.ts'

/** Ids of the job's pages, in their order. */
export async function listJobPageIds(db: Executor, jobId: string): Promise<number[]> {
  const { rows } = await db.orm.execute<{ page_id: string }>(
    sql`select page_id from job_pages where job_id = ${jobId} order by page_id`,
  )
  return rows.map((row) => Number(row.page_id))
}

/** Vectors of the pages that have one, by page id. */
export async function readPageVectors(
  db: Executor,
  model: string,
  pageIds: readonly number[],
): Promise<Map<number, Float32Array>> {
  const { rows } = await db.orm.execute<{ page_id: string; vector: Buffer }>(sql`
    select page_id, vector from page_embeddings
    where model = ${model} and page_id = any(${sql.param(pageIds)}::bigint[]) and vector is not null order by page_id`)
  return new Map(rows.map((row) => [Number(row.page_id), floatsOf(row.vector)]))
}

/** Vectors of pages spread evenly over the job, at most `most`: the same for the same pages. */
export async function readVectorSample(
  db: Executor,
  jobId: string,
  model: string,
  most: number,
): Promise<Float32Array[]> {
  const { rows } = await db.orm.execute<{ vector: Buffer }>(sql`
    select e.vector
    from (select page_id, row_number() over (order by page_id) as at, count(*) over () as pages
          from job_pages where job_id = ${jobId}) j
      join page_embeddings e on e.page_id = j.page_id and e.model = ${model} and e.vector is not null
    where j.at % greatest(1, ceil(j.pages / ${most}::float)::int) = 0 order by j.page_id`)
  return rows.map((row) => floatsOf(row.vector))
}

export interface PageDecisions {
  /** No automatic tag touches the page */
  readonly locked: boolean
  /** Tags that a person took from the page and did not give it since, and those merged with them */
  readonly rejected: ReadonlySet<number>
}

/** What people decided against automatic tags on these pages. Pages without a decision are left out. */
export async function readPageDecisions(
  db: Executor,
  wikiId: number,
  pageIds: readonly number[],
): Promise<Map<number, PageDecisions>> {
  const { rows } = await db.orm.execute<{ page_id: string; tag_id: number | null; locked: boolean }>(sql`
    select d.page_id, same.id as tag_id, d.decision = 'locked' as locked
    from tag_decisions d left join tags t on t.id = d.tag_id
      left join tags same on same.wiki_id = ${wikiId} and t.id is not null
        and coalesce(same.merged_into, same.id) = coalesce(t.merged_into, t.id)
    where d.wiki_id = ${wikiId} and d.page_id = any(${sql.param(pageIds)}::bigint[]) and d.decision in ('rejected', 'locked')
      and ${notGivenSince}
    order by d.page_id`)
  const found = new Map<number, { locked: boolean; rejected: Set<number> }>()
  for (const row of rows) {
    const pageId = Number(row.page_id)
    const known = found.get(pageId) ?? { locked: false, rejected: new Set<number>() }
    known.locked ||= row.locked
    if (row.tag_id !== null) known.rejected.add(row.tag_id)
    found.set(pageId, known)
  }
  return found
}

export interface PageTagToStore {
  readonly pageId: number
  readonly tagId: number
  readonly confidence: number
  readonly origin: 'cluster' | 'similarity'
  readonly clusterNo: number | null
}

/**
 * The job's page tags in tenths of confidence, on pages that people gave tags to, of tags that people gave to pages; a hit is one that
 * people gave to that page. What people never used says nothing about a page that lacks it.
 */
export async function readReliability(
  db: Executor,
  wikiId: number,
  jobId: string,
): Promise<{ count: number; meanConfidence: number; hitRate: number }[]> {
  const { rows } = await db.orm.execute<{ count: number; meanConfidence: number; hitRate: number }>(sql`
    with gold as (
      select distinct d.page_id, coalesce(o.merged_into, o.id) as tag_id
      from tag_decisions d join tags o on o.id = d.tag_id
      where d.wiki_id = ${wikiId} and d.decision = 'added' and ${notTakenFromPage(wikiId)}
    ), judged as (
      select x.confidence, g.tag_id is not null as hit
      from page_tags x join tags t on t.id = x.tag_id
        left join gold g on g.page_id = x.page_id and g.tag_id = coalesce(t.merged_into, t.id)
      where x.job_id = ${jobId} and x.page_id in (select page_id from gold)
        and coalesce(t.merged_into, t.id) in (select tag_id from gold)
    )
    select count(*)::int as count, avg(confidence)::float8 as "meanConfidence", avg(hit::int)::float8 as "hitRate"
    from judged group by least(9, floor(confidence * 10)) order by least(9, floor(confidence * 10))`)
  return rows
}

/** Writes the page tags of one batch by COPY. */
export const savePageTags = (
  tx: Transaction,
  jobId: string,
  batchNo: number,
  rows: readonly PageTagToStore[],
): Promise<number> =>
  copyRows(
    tx,
    'page_tags',
    ['job_id', 'page_id', 'tag_id', 'confidence', 'origin', 'cluster_no', 'batch_no'],
    rows.map((row) => [jobId, row.pageId, row.tagId, row.confidence, row.origin, row.clusterNo, batchNo]),
  )

/** How many batches the job's stages were cut into, over all stages. */
export async function countJobBatches(db: Executor, jobId: string): Promise<number> {
  const { rows } = await db.orm.execute<{ count: number }>(
    sql`select count(*)::int as count from job_batches where job_id = ${jobId}`,
  )
  return rows[0]?.count ?? 0
}
