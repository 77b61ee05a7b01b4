import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Database, Transaction } from './database.ts'
import { type ImportedTags, replaceImportedTags } from './imported-tags.ts'

export interface PageToStore {
  readonly externalId: string
  readonly title: string
  readonly text: string
  readonly goldLabel: string | null
  /** Tags that people gave it; undefined leaves those it has */
  readonly tags: readonly string[] | undefined
}

export interface StoredPages {
  readonly created: number
  readonly updated: number
  readonly unchanged: number
  /** In the order of the pages given */
  readonly pageIds: readonly number[]
  /** Whether tags came, went or were given to other pages */
  readonly tagsChanged: boolean
}

/**
 * Creates or updates pages by external id; a page whose content hash and label are as they were is not written.
 * One transaction and five statements at most, whatever the number of pages. A second call with the same pages changes nothing.
 * @param pages no two with the same external id
 */
export const storePages = (db: Database, wikiId: number, pages: readonly PageToStore[]): Promise<StoredPages> =>
  db.transaction(async (tx) => {
    const written = await upsert(tx, wikiId, pages)
    const ids = await readIds(tx, wikiId, pages)
    const tagged: ImportedTags[] = []
    for (const { externalId, tags } of pages) if (tags) tagged.push({ pageId: ids.get(externalId)!, labels: tags })
    const retagged = await replaceImportedTags(tx, wikiId, tagged)
    let created = 0
    const updated = new Set(retagged)
    for (const row of written) {
      if (row.created) {
        created++
        updated.delete(row.id)
      } else updated.add(row.id)
    }
    return {
      created,
      updated: updated.size,
      unchanged: pages.length - created - updated.size,
      pageIds: pages.map((page) => ids.get(page.externalId)!),
      tagsChanged: retagged.length > 0,
    }
  })

/** Hex; a NUL between them keeps "ab"+"c" apart from "a"+"bc", and no stored text holds one. */
const contentHash = (title: string, text: string): string =>
  createHash('sha256').update(title).update('\0').update(text).digest('hex')

async function upsert(tx: Transaction, wikiId: number, pages: readonly PageToStore[]) {
  // In the order of their ids, so that two imports of the same pages wait for each other and never deadlock.
  const { rows } = await tx.orm.execute<{ id: string; created: boolean }>(sql`
    insert into pages (wiki_id, external_id, title, text, content_hash, gold_label)
    select ${wikiId}, i.* from unnest(
      ${sql.param(pages.map((page) => page.externalId))}::text[],
      ${sql.param(pages.map((page) => page.title))}::text[],
      ${sql.param(pages.map((page) => page.text))}::text[],
      ${sql.param(pages.map((page) => contentHash(page.title, page.text)))}::text[],
      ${sql.param(pages.map((page) => page.goldLabel))}::text[]
    ) as i (external_id, title, text, content_hash, gold_label)
    order by i.external_id
    on conflict (wiki_id, external_id) do update set
      title = excluded.title, text = excluded.text, content_hash = excluded.content_hash,
      gold_label = coalesce(excluded.gold_label, pages.gold_label), updated_at = now()
    where pages.content_hash <> excluded.content_hash
       or coalesce(excluded.gold_label, pages.gold_label) is distinct from pages.gold_label
    returning id, xmax = 0 as created`)
  return rows.map((row) => ({ id: Number(row.id), created: row.created }))
}

async function readIds(tx: Transaction, wikiId: number, pages: readonly PageToStore[]): Promise<Map<string, number>> {
  const { rows } = await tx.orm.execute<{ id: string; external_id: string }>(sql`
    select id, external_id from pages
    where wiki_id = ${wikiId} and external_id = any(${sql.param(pages.map((page) => page.externalId))}::text[])`)
  return new Map(rows.map((row) => [row.external_id, Number(row.id)]))
}
