import { decidedByTagloom } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import type { Executor, Transaction } from './database.ts'
import type { TagStatus } from './schema/tags.ts'
import { bytesOf, floatsOf } from './vectors.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

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

/** Tags that one statement writes, some 1.5 MB at 384 dimensions: ten thousand at once kept the event loop for a tenth of a second */
const tagsAtOnce = 500

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
  const ids: number[] = []
  for (const some of inPieces(tags)) ids.push(...(await createSome(tx, of, some)))
  return ids
}

function* inPieces<Tag>(tags: readonly Tag[]): Generator<readonly Tag[]> {
  for (let from = 0; from < tags.length; from += tagsAtOnce) yield tags.slice(from, from + tagsAtOnce)
}

async function createSome(
  tx: Transaction,
  of: { readonly wikiId: number; readonly jobId: string; readonly model: string },
  tags: readonly TagToCreate[],
): Promise<number[]> {
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
  for (const some of inPieces(tags))
    await tx.orm.execute(sql`
      update tags t set embedding = decode(v.embedding, 'hex'), model = ${model}
      from unnest(${sql.param(some.map((tag) => tag.id))}::int[],
        ${sql.param(some.map((tag) => bytesOf(tag.embedding).toString('hex')))}::text[]) as v (id, embedding)
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
