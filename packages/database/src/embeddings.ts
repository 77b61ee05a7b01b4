import { sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Executor, Transaction } from './database.ts'

/** A page of a job whose content has no vector of the model yet. */
export interface PageToPlan {
  readonly pageId: number
  readonly characters: number
}

/** Pages of the job, in their order, whose frozen content has no vector of this model. */
export async function listPagesWithoutEmbedding(db: Executor, jobId: string, model: string): Promise<PageToPlan[]> {
  const { rows } = await db.orm.execute<{ page_id: string; characters: number }>(sql`
    select j.page_id, length(p.title) + length(p.text) as characters
    from job_pages j join pages p on p.id = j.page_id
    where j.job_id = ${jobId} and not exists (
      select from page_embeddings e
      where e.page_id = j.page_id and e.model = ${model} and e.content_hash = j.content_hash)
    order by j.page_id`)
  return rows.map((row) => ({ pageId: Number(row.page_id), characters: row.characters }))
}

export interface PageToEmbed {
  readonly pageId: number
  readonly title: string
  readonly text: string
  readonly contentHash: string
}

/** The pages as they are now; those that are gone, or have a vector of their present content, are left out. */
export async function readPagesToEmbed(
  db: Executor,
  pageIds: readonly number[],
  model: string,
): Promise<PageToEmbed[]> {
  const { rows } = await db.orm.execute<{ id: string; title: string; text: string; content_hash: string }>(sql`
    select p.id, p.title, p.text, p.content_hash from pages p
    where p.id = any(${sql.param(pageIds)}::bigint[]) and not exists (
      select from page_embeddings e
      where e.page_id = p.id and e.model = ${model} and e.content_hash = p.content_hash)
    order by p.id`)
  return rows.map((row) => ({
    pageId: Number(row.id),
    title: row.title,
    text: row.text,
    contentHash: row.content_hash,
  }))
}

export interface PageEmbedding {
  readonly pageId: number
  readonly contentHash: string
  readonly tokens: number
  /** null for a page with nothing to embed */
  readonly vector: Float32Array | null
}

/** Any constant that no other two-key advisory lock of ours uses */
const embeddingLockClass = 7_424_570

/**
 * Replaces the vectors of these pages of one wiki and this model, by COPY. Pages that were deleted meanwhile are left out.
 * One transaction of a wiki at a time: a job and an assignment may have the same new page in hand, and of rows that are not there yet none can
 * be locked. The second one replaces what the first wrote.
 */
export async function saveEmbeddings(
  tx: Transaction,
  model: string,
  dims: number,
  embeddings: readonly PageEmbedding[],
): Promise<number> {
  for (const { vector } of embeddings) {
    if (vector && vector.length !== dims) throw new Error(`embedding has ${vector.length} values, expected ${dims}`)
  }
  const ids = sql.param(embeddings.map((e) => e.pageId))
  await tx.orm.execute(sql`
    select pg_advisory_xact_lock(${embeddingLockClass}, wiki_id) from (
      select distinct wiki_id from pages where id = any(${ids}::bigint[]) order by wiki_id) w`)
  const { rows } = await tx.orm.execute<{ id: string }>(
    sql`select id from pages where id = any(${ids}::bigint[]) order by id for key share`,
  )
  const present = new Set(rows.map((row) => Number(row.id)))
  await tx.orm.execute(sql`delete from page_embeddings where model = ${model} and page_id = any(${ids}::bigint[])`)
  return copyRows(
    tx,
    'page_embeddings',
    ['page_id', 'model', 'content_hash', 'dims', 'tokens', 'vector'],
    embeddings
      .filter((e) => present.has(e.pageId))
      .map((e) => [e.pageId, model, e.contentHash, dims, e.tokens, e.vector && bytesOf(e.vector)]),
  )
}

/** float32 little-endian, as every machine that this runs on holds it. */
const bytesOf = (vector: Float32Array): Buffer => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
