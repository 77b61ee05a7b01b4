import { decidedByImport } from '@tagloom/contracts'
import { type SQL, sql } from 'drizzle-orm'

/**
 * Whether the tag that decision `d` gave to a page stays there: no person took it, or one merged with it (its row is `o`), from the page
 * since; what came with an import no person ever took.
 */
export const notTakenFromPage = (wikiId: number): SQL => sql`not exists (
  select from tag_decisions l join tags r on r.id = l.tag_id
  where l.wiki_id = ${wikiId} and l.page_id = d.page_id and l.decision = 'rejected'
    and (d.decided_by = ${decidedByImport} or (l.created_at, l.id) > (d.created_at, d.id))
    and coalesce(r.merged_into, r.id) = coalesce(o.merged_into, o.id))`

/** Whether no person gave the tag back to the page since decision `d` took it from there. */
export const notGivenSince: SQL = sql`not exists (
  select from tag_decisions a
  where a.wiki_id = d.wiki_id and a.page_id = d.page_id and a.tag_id = d.tag_id and a.decision = 'added'
    and a.decided_by <> ${decidedByImport} and (a.created_at, a.id) > (d.created_at, d.id))`

/**
 * The tags that pages show: those of a job, overlaid by what people decided. In this order:
 * a merged tag stands for the one it was merged into; a rejected tag is shown nowhere; a tag that a person rejected on a page is not
 * shown there; a locked page shows no tag of any job; what a person added is shown, and wins over the same tag of the job.
 * One row a page and tag: page_id, tag_id, label, confidence, origin, job_id, cluster_no, decided_by.
 * @param jobId null: what people added only
 * @param pages condition on a page id, e.g. `(id) => sql`${id} = 7``
 */
export const shownTags = (wikiId: number, jobId: string | null, pages: (pageId: SQL) => SQL): SQL => sql`
  select distinct on (s.page_id, s.tag_id)
    s.page_id, s.tag_id, t.label, s.confidence, s.origin, s.job_id, s.cluster_no, s.decided_by
  from (
    select pt.page_id, coalesce(o.merged_into, o.id) as tag_id, pt.confidence, pt.origin, pt.job_id, pt.cluster_no,
           null::text as decided_by
    from page_tags pt join tags o on o.id = pt.tag_id
    where pt.job_id = ${jobId} and ${pages(sql`pt.page_id`)}
      and not exists (
        select from tag_decisions d left join tags r on r.id = d.tag_id
        where d.wiki_id = ${wikiId} and d.page_id = pt.page_id
          and (d.decision = 'locked'
            or (d.decision = 'rejected' and coalesce(r.merged_into, r.id) = coalesce(o.merged_into, o.id))))
    union all
    select d.page_id, coalesce(o.merged_into, o.id), null, 'person', null, null, d.decided_by
    from tag_decisions d join tags o on o.id = d.tag_id
    where d.wiki_id = ${wikiId} and d.decision = 'added' and ${pages(sql`d.page_id`)}
      and ${notTakenFromPage(wikiId)}
  ) s join tags t on t.id = s.tag_id and t.status <> 'rejected'
  order by s.page_id, s.tag_id, (s.origin = 'person') desc, (s.decided_by = ${decidedByImport}), s.confidence desc nulls last`
