import { randomBytes } from 'node:crypto'
import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Database, Executor, Transaction } from './database.ts'
import type { PageToPlan } from './embeddings.ts'
import { assignments } from './schema/assignments.ts'
import { notGivenSince } from './shown-tags.ts'
import { floatsOf } from './vectors.ts'

/*
 * The life of an assignment: waiting → completed, or waiting → failed. One that has waited for `waitsAtMostMinutes` is shown as failed:
 * its message was lost or buried, and asking again is cheap.
 */

export interface AssignmentRow {
  readonly id: string
  readonly wikiId: number
  readonly jobId: string
  readonly status: 'waiting' | 'completed' | 'failed'
  readonly failure: string | null
  readonly leftForLater: number
  readonly createdAt: Date
  readonly endedAt: Date | null
  /** Embedding model of the run */
  readonly model: string | null
}

const waitsAtMostMinutes = 10
/** Whether an assignment is still to be done. One that is not done within its time is lost, and what it held is free. */
const isAwaited = (s: SQL): SQL =>
  sql`(${s}.status = 'waiting' and ${s}.created_at >= now() - ${waitsAtMostMinutes} * interval '1 minute')`
const keptDays = 30

/**
 * Notes an assignment of these pages to the run's topics; the wiki's oldest go. Without page ids: the pages that are new or changed since
 * the run and that no assignment to it holds as they are now, or is about to take, `most` of them. An assignment without pages is completed at once.
 */
export async function createAssignment(
  tx: Transaction,
  of: { readonly wikiId: number; readonly jobId: string; readonly pageIds?: readonly number[]; readonly most: number },
): Promise<string> {
  const id = `assign_wiki_${of.wikiId}_${randomBytes(6).toString('hex')}`
  const { rows } = of.pageIds
    ? { rows: of.pageIds.map((page_id) => ({ page_id, all: of.pageIds!.length })) }
    : await tx.orm.execute<{ page_id: number; all: number }>(sql`
      select p.id as page_id, count(*) over ()::int as all from pages p
      where p.wiki_id = ${of.wikiId}
        and not exists (select from job_pages j
          where j.job_id = ${of.jobId} and j.page_id = p.id and j.content_hash = p.content_hash)
        and not exists (select from assigned_pages a join assignments s on s.id = a.assignment_id
          where s.job_id = ${of.jobId} and a.page_id = p.id and (a.content_hash = p.content_hash or ${isAwaited(sql`s`)}))
      order by p.id limit ${of.most}`)
  const status = rows.length === 0 ? 'completed' : 'waiting'
  await tx.orm.execute(sql`
    delete from assignments where wiki_id = ${of.wikiId} and created_at < now() - ${keptDays} * interval '1 day'`)
  await tx.orm.insert(assignments).values({
    id,
    wikiId: of.wikiId,
    jobId: of.jobId,
    status,
    leftForLater: Math.max(0, (rows[0]?.all ?? 0) - rows.length),
    endedAt: status === 'completed' ? sql`clock_timestamp()` : null,
  })
  const ids = sql.param(rows.map((row) => Number(row.page_id)))
  await tx.orm.execute(sql`
    insert into assigned_pages (assignment_id, page_id) select ${id}, i from unnest(${ids}::bigint[]) i`)
  return id
}

export async function readAssignment(db: Executor, id: string): Promise<AssignmentRow | undefined> {
  const { rows } = await db.orm.execute<AssignmentRow & { lost: boolean } & Record<string, unknown>>(sql`
    select s.id, s.wiki_id as "wikiId", s.job_id as "jobId", s.status, s.failure, s.left_for_later as "leftForLater",
      s.created_at as "createdAt", s.ended_at as "endedAt", j.model,
      s.status = 'waiting' and not ${isAwaited(sql`s`)} as lost
    from assignments s join jobs j on j.id = s.job_id where s.id = ${id}`)
  const row = rows[0]
  if (!row) return undefined
  const { lost, ...rest } = row
  const found = { ...rest, createdAt: new Date(rest.createdAt), endedAt: rest.endedAt && new Date(rest.endedAt) }
  const failure = `it was not done within ${waitsAtMostMinutes} minutes: see whether tagger and clusterer run, and ask again`
  return lost ? { ...found, status: 'failed', failure } : found
}

export type AwaitedAssignment = Pick<AssignmentRow, 'id' | 'wikiId'>

/** Assignments that are still to be done, oldest first. */
export async function listAwaitedAssignments(db: Executor, most: number): Promise<AwaitedAssignment[]> {
  const { rows } = await db.orm.execute<AwaitedAssignment & Record<string, unknown>>(sql`
    select s.id, s.wiki_id as "wikiId" from assignments s where ${isAwaited(sql`s`)} order by s.created_at limit ${most}`)
  return rows
}

/** Ends a waiting assignment. @returns false when it has ended: nothing was changed */
export async function endAssignment(tx: Transaction, id: string, failure: string | null): Promise<boolean> {
  const ended = await tx.orm
    .update(assignments)
    .set({ status: failure === null ? 'completed' : 'failed', failure, endedAt: sql`clock_timestamp()` })
    .where(and(eq(assignments.id, id), eq(assignments.status, 'waiting')))
    .returning({ id: assignments.id })
  return ended.length > 0
}

/** Pages of the assignment whose present content has no vector of this model. */
export async function listAssignmentPagesToEmbed(db: Executor, id: string, model: string): Promise<PageToPlan[]> {
  const { rows } = await db.orm.execute<{ page_id: string; characters: number }>(sql`
    select p.id as page_id, length(p.title) + length(p.text) as characters
    from assigned_pages a join pages p on p.id = a.page_id
    where a.assignment_id = ${id} and not exists (
      select from page_embeddings e where e.page_id = p.id and e.model = ${model} and e.content_hash = p.content_hash)
    order by p.id`)
  return rows.map((row) => ({ pageId: Number(row.page_id), characters: row.characters }))
}

export interface PageToAssign {
  readonly pageId: number
  readonly contentHash: string
  /** null for a page with nothing to embed */
  readonly vector: Float32Array | null
}

/** The pages of the assignment with their vectors; those that were deleted meanwhile are left out. */
export async function readPagesToAssign(db: Executor, id: string, model: string): Promise<PageToAssign[]> {
  const { rows } = await db.orm.execute<{ page_id: string; content_hash: string; vector: Buffer | null }>(sql`
    select e.page_id, e.content_hash, e.vector
    from assigned_pages a join page_embeddings e on e.page_id = a.page_id and e.model = ${model}
    where a.assignment_id = ${id} order by e.page_id`)
  return rows.map(({ page_id, content_hash, vector }) => ({
    pageId: Number(page_id),
    contentHash: content_hash,
    vector: vector && floatsOf(vector),
  }))
}

export interface PageAssignment {
  readonly pageId: number
  readonly contentHash: string
  readonly outcome: 'assigned' | 'left_out' | 'without_text'
  readonly clusterNo: number | null
  readonly similarity: number | null
}

export async function saveAssignedPages(tx: Transaction, id: string, pages: readonly PageAssignment[]): Promise<void> {
  await tx.orm.execute(sql`
    update assigned_pages a
    set outcome = i.outcome, cluster_no = i.cluster_no, similarity = i.similarity, content_hash = i.content_hash
    from unnest(
      ${sql.param(pages.map((page) => page.pageId))}::bigint[],
      ${sql.param(pages.map((page) => page.outcome))}::text[],
      ${sql.param(pages.map((page) => page.clusterNo))}::int[],
      ${sql.param(pages.map((page) => page.similarity))}::real[],
      ${sql.param(pages.map((page) => page.contentHash))}::text[]
    ) as i (page_id, outcome, cluster_no, similarity, content_hash)
    where a.assignment_id = ${id} and a.page_id = i.page_id`)
}

export interface AssignedPageRow {
  readonly id: string
  readonly title: string
  readonly outcome: 'waiting' | 'assigned' | 'left_out' | 'without_text'
  readonly similarity: number | null
  readonly clusterNo: number | null
  readonly lineageId: string | null
  readonly tags: readonly { readonly label: string; readonly confidence: number }[]
}

/** The pages of an assignment, with the tags of the cluster that took each and of those that hold it, less what people decided. */
export async function readAssignedPages(db: Executor, id: string): Promise<AssignedPageRow[]> {
  const { rows } = await db.orm.execute<AssignedPageRow & Record<string, unknown>>(sql`
    with recursive up as (
      select c.job_id, c.no as leaf, c.no, c.parent_no from clusters c
      where (c.job_id, c.no) in (
        select s.job_id, a.cluster_no from assigned_pages a join assignments s on s.id = a.assignment_id where s.id = ${id})
      union all
      select c.job_id, up.leaf, c.no, c.parent_no from up join clusters c on c.job_id = up.job_id and c.no = up.parent_no
    ), named as (
      select up.leaf, t.id as tag_id, t.label, max(x.confidence) as confidence
      from up join cluster_tags x on x.job_id = up.job_id and x.cluster_no = up.no
        join tags o on o.id = x.tag_id join tags t on t.id = coalesce(o.merged_into, o.id) and t.status <> 'rejected'
      group by up.leaf, t.id, t.label
    ), tags_of as (
      select a.page_id, json_agg(json_build_object('label', n.label, 'confidence', n.confidence) order by n.confidence desc, n.label) as tags
      from assigned_pages a join assignments s on s.id = a.assignment_id join named n on n.leaf = a.cluster_no
      where a.assignment_id = ${id} and not exists (
        select from tag_decisions d left join tags r on r.id = d.tag_id
        where d.wiki_id = s.wiki_id and d.page_id = a.page_id
          and (d.decision = 'locked' or (d.decision = 'rejected' and coalesce(r.merged_into, r.id) = n.tag_id and ${notGivenSince})))
      group by a.page_id
    )
    select p.external_id as id, p.title, a.outcome, a.similarity, a.cluster_no as "clusterNo", c.lineage_id as "lineageId",
      coalesce(n.tags, '[]') as tags
    from assigned_pages a join assignments s on s.id = a.assignment_id join pages p on p.id = a.page_id
      left join clusters c on c.job_id = s.job_id and c.no = a.cluster_no
      left join tags_of n on n.page_id = a.page_id
    where a.assignment_id = ${id} order by p.id`)
  return rows
}

/** What came of the pages that are new or changed since a run, each counted once, by its last assignment. */
export interface AssignmentTally {
  readonly wikiId: number
  readonly jobId: string
  readonly pages: number
  readonly leftOut: number
  /** Share of the run's own pages that its clusters would not take; null where the run did not say */
  readonly expectedShare: number | null
}

export async function tallyAssignments(db: Executor, jobId: string): Promise<AssignmentTally | undefined> {
  return (await tally(db, sql`j.id = ${jobId}`, 1))[0]
}

/** Of the current runs of the wikis that had an assignment last. */
export const tallyCurrentRuns = (db: Database, most: number): Promise<AssignmentTally[]> =>
  tally(
    db,
    sql`j.id in (select s.job_id from assignments s join wikis w on w.current_job_id = s.job_id
      group by s.job_id order by max(s.created_at) desc limit ${most})`,
    most,
  )

async function tally(db: Executor, ofJobs: ReturnType<typeof sql>, most: number): Promise<AssignmentTally[]> {
  const { rows } = await db.orm.execute<AssignmentTally & Record<string, unknown>>(sql`
    select j.wiki_id as "wikiId", j.id as "jobId", (g.figures ->> 'left_out_share')::float8 as "expectedShare",
      count(l.outcome)::int as pages, (count(*) filter (where l.outcome = 'left_out'))::int as "leftOut"
    from jobs j left join clusterings g on g.job_id = j.id
      left join lateral (
        select distinct on (a.page_id) a.outcome
        from assignments s join assigned_pages a on a.assignment_id = s.id
        where s.job_id = j.id and a.outcome in ('assigned', 'left_out') and not exists (
          select from job_pages o where o.job_id = j.id and o.page_id = a.page_id and o.content_hash = a.content_hash)
        order by a.page_id, s.created_at desc
      ) l on true
    where ${ofJobs} group by j.id, g.figures order by j.id limit ${most}`)
  return rows
}
