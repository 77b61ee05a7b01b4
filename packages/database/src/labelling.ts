import { sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import { floatsOf } from './vectors.ts'

/** A page of a job with the cluster that it is in, layer by layer. */
export interface PageInClusters {
  readonly pageId: number
  readonly title: string
  readonly text: string
  readonly clusterNos: readonly number[]
}

const pagesARead = 200

/** The job's pages in the order of their ids, in bounded steps, each with the clusters it is in. @param characters of text, at most */
export async function* readPagesInClusters(
  db: Database,
  jobId: string,
  characters: number,
): AsyncGenerator<PageInClusters[]> {
  const layers = await readLayers(db, jobId)
  let after = 0
  for (;;) {
    const { rows } = await db.orm.execute<{ id: string; title: string; text: string }>(sql`
      select p.id, p.title, left(p.text, ${characters}) as text
      from job_pages j join pages p on p.id = j.page_id
      where j.job_id = ${jobId} and j.page_id > ${after} order by j.page_id limit ${pagesARead}`)
    const last = rows.at(-1)
    if (!last) return
    after = Number(last.id)
    const pageIds = rows.map((row) => Number(row.id))
    const memberships = await readMemberships(db, jobId, layers, pageIds)
    yield rows.map((row) => ({
      pageId: Number(row.id),
      title: row.title,
      text: row.text,
      clusterNos: (memberships.get(Number(row.id)) ?? []).map(({ cluster }) => cluster),
    }))
  }
}

export async function readLayers(db: Executor, jobId: string): Promise<number[]> {
  const { rows } = await db.orm.execute<{ layer: number }>(
    sql`select distinct layer from clusters where job_id = ${jobId} order by layer`,
  )
  return rows.map((row) => row.layer)
}

export interface Membership {
  readonly cluster: number
  readonly strength: number
}

/** Clusters of these pages in the order of the layers, by page id. Pages in none are left out. */
export async function readMemberships(
  db: Executor,
  jobId: string,
  layers: readonly number[],
  pageIds: readonly number[],
): Promise<Map<number, Membership[]>> {
  const { rows } = await db.orm.execute<{ page_id: string; cluster_no: number; strength: number }>(sql`
    select page_id, cluster_no, strength from cluster_members
    where job_id = ${jobId} and layer = any(${sql.param(layers)}::int[]) and page_id = any(${sql.param(pageIds)}::bigint[])
    order by page_id, layer`)
  const found = new Map<number, Membership[]>()
  for (const row of rows) {
    const pageId = Number(row.page_id)
    const list = found.get(pageId)
    const membership = { cluster: row.cluster_no, strength: row.strength }
    if (list) list.push(membership)
    else found.set(pageId, [membership])
  }
  return found
}

export type ClusterColumn = 'keyphrases' | 'proposals'

/** Characters of JSON that one statement stores: more than this kept the event loop, and memory held all of it several times */
const jsonAtOnce = 500_000

/** Stores what was found for each cluster, as JSON, replacing what was there. */
export async function saveForClusters(
  tx: Transaction,
  jobId: string,
  column: ClusterColumn,
  values: readonly { readonly no: number; readonly json: string }[],
): Promise<void> {
  let rows: string[] = []
  let characters = 0
  const write = () =>
    tx.orm.execute(sql`
      update clusters c set ${sql.identifier(column)} = v.value
      from json_to_recordset(${`[${rows.join()}]`}::json) as v (no int, value jsonb)
      where c.job_id = ${jobId} and c.no = v.no`)
  for (const { no, json } of values) {
    rows.push(`{"no":${no},"value":${json}}`)
    characters += json.length
    if (characters < jsonAtOnce) continue
    await write()
    rows = []
    characters = 0
  }
  if (rows.length > 0) await write()
}

/** What was stored for these clusters (all of them without `nos`), by cluster number. */
export async function readForClusters<Value>(
  db: Executor,
  jobId: string,
  column: ClusterColumn,
  nos?: readonly number[],
): Promise<Map<number, Value>> {
  const { rows } = await db.orm.execute<{ no: number; value: Value | null }>(sql`
    select no, ${sql.identifier(column)} as value from clusters
    where job_id = ${jobId} ${nos ? sql`and no = any(${sql.param(nos)}::int[])` : sql``} order by no`)
  return new Map(rows.flatMap((row) => (row.value === null ? [] : [[row.no, row.value] as const])))
}

/** A member of a cluster as a labeller reads it. */
export interface ClusterPage {
  readonly pageId: number
  readonly title: string
  readonly text: string
  readonly vector: Float32Array
}

/** The strongest members of a cluster that have a vector. */
export async function readClusterPages(
  db: Executor,
  of: { readonly jobId: string; readonly model: string; readonly clusterNo: number; readonly characters: number },
  limit: number,
): Promise<ClusterPage[]> {
  const { rows } = await db.orm.execute<{ id: string; title: string; text: string; vector: Buffer }>(sql`
    select p.id, p.title, left(p.text, ${of.characters}) as text, e.vector
    from cluster_members m join pages p on p.id = m.page_id
      join page_embeddings e on e.page_id = m.page_id and e.model = ${of.model} and e.vector is not null
    where m.job_id = ${of.jobId} and m.cluster_no = ${of.clusterNo}
    order by m.strength desc, m.page_id limit ${limit}`)
  return rows.map((row) => ({ pageId: Number(row.id), title: row.title, text: row.text, vector: floatsOf(row.vector) }))
}

export interface ClusterTagRow {
  readonly clusterNo: number
  readonly tagId: number
  readonly confidence: number
  readonly method: 'vocabulary' | 'keyphrases' | 'llm'
  readonly rank: number
}

export const saveClusterTags = (tx: Transaction, jobId: string, rows: readonly ClusterTagRow[]): Promise<number> =>
  copyRows(
    tx,
    'cluster_tags',
    ['job_id', 'cluster_no', 'tag_id', 'confidence', 'method', 'rank'],
    rows.map((row) => [jobId, row.clusterNo, row.tagId, row.confidence, row.method, row.rank]),
  )

export async function readClusterTags(db: Executor, jobId: string): Promise<ClusterTagRow[]> {
  const { rows } = await db.orm.execute<ClusterTagRow & Record<string, unknown>>(sql`
    select cluster_no as "clusterNo", tag_id as "tagId", confidence, method, rank
    from cluster_tags where job_id = ${jobId} order by cluster_no, rank`)
  return rows
}
