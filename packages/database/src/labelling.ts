import { decidedByTagloom } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import type { TagStatus } from './schema/tags.ts'
import { bytesOf, floatsOf } from './vectors.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

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

/** Stores what was found for each cluster, replacing what was there. */
export async function saveForClusters(
  tx: Transaction,
  jobId: string,
  column: ClusterColumn,
  values: readonly { readonly no: number; readonly value: unknown }[],
): Promise<void> {
  await tx.orm.execute(sql`
    update clusters c set ${sql.identifier(column)} = v.value::jsonb
    from unnest(${sql.param(values.map((v) => v.no))}::int[], ${sql.param(values.map((v) => JSON.stringify(v.value)))}::text[])
      as v (no, value)
    where c.job_id = ${jobId} and c.no = v.no`)
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

/** A tag as jobs see it, whatever its status. */
export interface StoredTag {
  readonly id: number
  readonly label: string
  readonly form: string
  readonly status: TagStatus
  readonly mergedInto: number | null
  readonly mergedByPerson: boolean
  readonly parentId: number | null
  /** A rule merged it once */
  readonly joinedOnce: boolean
  /** Of `model`; null where it has none of that */
  readonly embedding: Float32Array | null
}

const vocabularyColumns = sql`
  id, label, normalised as form, status, merged_into as "mergedInto", parent_id as "parentId", joined_once as "joinedOnce",
  merged_by is not null and merged_by <> ${decidedByTagloom} as "mergedByPerson"`

/** Every tag of the wiki in the order of their ids. */
export async function readVocabulary(db: Executor, wikiId: number, model: string): Promise<StoredTag[]> {
  const { rows } = await db.orm.execute<Omit<StoredTag, 'embedding'> & { embedding: Buffer | null }>(sql`
    select ${vocabularyColumns},
      case when model = ${model} then embedding end as embedding
    from tags where wiki_id = ${wikiId} order by id`)
  return rows.map((row) => ({ ...row, embedding: row.embedding && floatsOf(row.embedding) }))
}

/**
 * Holds the vocabulary against imports and decisions of people until the transaction ends.
 * @param known as readVocabulary gave it before
 * @returns whether it still is that, vectors apart
 */
export async function holdVocabulary(tx: Transaction, wikiId: number, known: readonly StoredTag[]): Promise<boolean> {
  await lockVocabulary(tx, wikiId)
  const { rows } = await tx.orm.execute<Omit<StoredTag, 'embedding'> & Record<string, unknown>>(sql`
    select ${vocabularyColumns}
    from tags where wiki_id = ${wikiId} order by id`)
  const parts = ['id', 'label', 'form', 'status', 'mergedInto', 'mergedByPerson', 'parentId', 'joinedOnce'] as const
  return rows.length === known.length && rows.every((row, at) => parts.every((part) => row[part] === known[at]![part]))
}

/** Keeps which tags are approved now as what the job compares its pages with. A second call adds nothing that came since. */
export async function freezeJobVocabulary(tx: Transaction, jobId: string, wikiId: number): Promise<void> {
  await tx.orm.execute(sql`
    insert into job_vocabulary (job_id, tag_id)
    select ${jobId}, id from tags where wiki_id = ${wikiId} and status = 'approved'
      and not exists (select from job_vocabulary where job_id = ${jobId})`)
}

/** Ids of the tags that were approved when the job's propagation was planned. */
export async function readJobVocabulary(db: Executor, jobId: string): Promise<Set<number>> {
  const { rows } = await db.orm.execute<{ tag_id: number }>(
    sql`select tag_id from job_vocabulary where job_id = ${jobId}`,
  )
  return new Set(rows.map((row) => row.tag_id))
}

export interface TagToCreate {
  readonly label: string
  readonly form: string
  readonly status: 'proposed' | 'merged'
  readonly mergedInto: number | null
  readonly source: 'keyphrases' | 'llm'
  readonly embedding: Float32Array
}

/**
 * Adds tags that a job made, with the vocabulary in hold. One whose form is there already stays as it is. A merged one is a decision by
 * `tagloom`, which people can take back.
 * @returns the id of each, in their order
 */
export async function createTags(
  tx: Transaction,
  of: { readonly wikiId: number; readonly jobId: string; readonly model: string },
  tags: readonly TagToCreate[],
): Promise<number[]> {
  if (tags.length === 0) return []
  const list = <Value>(pick: (tag: TagToCreate) => Value) => sql.param(tags.map(pick))
  await tx.orm.execute(sql`
    with made as (
    insert into tags (wiki_id, label, normalised, status, source, merged_into, merged_by, joined_once, embedding, model, created_by_job)
    select ${of.wikiId}, t.label, t.form, t.status, t.source, t.merged_into,
      case when t.status = 'merged' then ${decidedByTagloom} end, t.status = 'merged', decode(t.embedding, 'hex'), ${of.model}, ${of.jobId}
    from unnest(${list((t) => t.label)}::text[], ${list((t) => t.form)}::text[], ${list((t) => t.status)}::text[],
      ${list((t) => t.source)}::text[], ${list((t) => t.mergedInto)}::int[], ${list((t) => bytesOf(t.embedding).toString('hex'))}::text[])
      with ordinality as t (label, form, status, source, merged_into, embedding, at)
    order by t.at
    on conflict (wiki_id, normalised) do nothing returning id, status, merged_into)
    insert into tag_decisions (wiki_id, tag_id, into_id, decision, decided_by)
    select ${of.wikiId}, id, merged_into, 'merged', ${decidedByTagloom} from made where status = 'merged' order by id`)
  const { rows } = await tx.orm.execute<{ form: string; id: number }>(sql`
    select normalised as form, id from tags
    where wiki_id = ${of.wikiId} and normalised = any(${list((t) => t.form)}::text[])`)
  const ids = new Map(rows.map((row) => [row.form, row.id]))
  return tags.map((tag) => ids.get(tag.form) as number)
}

/** Stores the vectors of tags that had none of this model. */
export async function saveTagEmbeddings(
  tx: Transaction,
  model: string,
  tags: readonly { readonly id: number; readonly embedding: Float32Array }[],
): Promise<void> {
  if (tags.length === 0) return
  await tx.orm.execute(sql`
    update tags t set embedding = decode(v.embedding, 'hex'), model = ${model}
    from unnest(${sql.param(tags.map((tag) => tag.id))}::int[],
      ${sql.param(tags.map((tag) => bytesOf(tag.embedding).toString('hex')))}::text[]) as v (id, embedding)
    where t.id = v.id`)
}

/** Gives tags that a job made their broader ones, in the place of those that they had. */
export async function saveTagParents(
  tx: Transaction,
  parents: readonly { readonly id: number; readonly parentId: number }[],
): Promise<void> {
  if (parents.length === 0) return
  await tx.orm.execute(sql`
    update tags t set parent_id = v.parent_id
    from unnest(${sql.param(parents.map((p) => p.id))}::int[], ${sql.param(parents.map((p) => p.parentId))}::int[]) as v (id, parent_id)
    where t.id = v.id and t.source in ('keyphrases', 'llm') and v.id <> v.parent_id`)
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
