import { decidedByImport, tagForm } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import type { Transaction } from './database.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

export interface ImportedTags {
  readonly pageId: number
  readonly labels: readonly string[]
}

/**
 * Makes the tags that earlier imports gave to these pages equal to `labels`. What people decided through the API stays: a tag that
 * somebody rejected on a page is not given to it again.
 * @returns ids of the pages whose tags changed
 */
export async function replaceImportedTags(
  tx: Transaction,
  wikiId: number,
  pages: readonly ImportedTags[],
): Promise<number[]> {
  if (pages.length === 0) return []
  const tagIds = await ensureTags(
    tx,
    wikiId,
    pages.flatMap((page) => page.labels),
    'imported',
  )
  const pairs = new Map<string, [page: number, tag: number]>()
  for (const { pageId, labels } of pages) {
    for (const label of labels) {
      const tagId = tagIds.get(tagForm(label))
      if (tagId !== undefined) pairs.set(`${pageId}.${tagId}`, [pageId, tagId])
    }
  }
  const pagesOf = sql.param([...pairs.values()].map(([page]) => page))
  const tagsOf = sql.param([...pairs.values()].map(([, tag]) => tag))
  const gone = await tx.orm.execute<{ page_id: string }>(sql`
    delete from tag_decisions d
    where d.wiki_id = ${wikiId} and d.page_id = any(${sql.param(pages.map((page) => page.pageId))}::bigint[])
      and d.decision = 'added' and d.decided_by = ${decidedByImport}
      and (d.page_id, d.tag_id) not in (select * from unnest(${pagesOf}::bigint[], ${tagsOf}::int[]))
    returning page_id`)
  const came = await tx.orm.execute<{ page_id: string }>(sql`
    insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by)
    select ${wikiId}, p, t, 'added', ${decidedByImport} from unnest(${pagesOf}::bigint[], ${tagsOf}::int[]) as i (p, t)
    order by p, t
    on conflict (wiki_id, page_id, tag_id) where page_id is not null and decided_by = 'import' do nothing
    returning page_id`)
  return [...new Set([...gone.rows, ...came.rows].map((row) => Number(row.page_id)))]
}

/**
 * Tags of these labels, made where the wiki has none of the same form. One that a job proposed is approved by this, since a person uses it,
 * and so is what a merged one stands for; a rejected one stays that, and is approved once the rejection is taken back.
 * @returns tag ids by form; the id of the tag that replaces it for a merged one
 */
export async function ensureTags(
  tx: Transaction,
  wikiId: number,
  labels: readonly string[],
  source: 'imported' | 'human',
): Promise<Map<string, number>> {
  const forms = new Map<string, string>()
  for (const label of labels) {
    const trimmed = label.trim()
    const form = tagForm(trimmed)
    if (form && !forms.has(form)) forms.set(form, trimmed)
  }
  if (forms.size === 0) return new Map()
  await lockVocabulary(tx, wikiId)
  const wanted = sql.param([...forms.keys()])
  await tx.orm.execute(sql`
    insert into tags (wiki_id, label, normalised, status, own_status, source)
    select ${wikiId}, i.label, i.form, 'approved', 'approved', ${source}
    from unnest(${sql.param([...forms.values()])}::text[], ${wanted}::text[]) as i (label, form)
    order by i.form
    on conflict (wiki_id, normalised) do nothing`)
  const { rows } = await tx.orm.execute<{ normalised: string; id: number }>(sql`
    select normalised, coalesce(merged_into, id) as id from tags
    where wiki_id = ${wikiId} and normalised = any(${wanted}::text[])`)
  await tx.orm.execute(sql`
    update tags set own_status = 'approved', status = case status when 'proposed' then 'approved' else status end
    where (wiki_id = ${wikiId} and normalised = any(${wanted}::text[]) or id = any(${sql.param(rows.map(({ id }) => id))}::int[]))
      and own_status = 'proposed'`)
  return new Map(rows.map((row) => [row.normalised, row.id]))
}
