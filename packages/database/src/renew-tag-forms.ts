import { tagForm, tagFormVersion } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import type { Database, Transaction } from './database.ts'
import { type FormedTag, planForms } from './plan-forms.ts'
import { joinTags } from './tag-decisions.ts'
import { lockVocabulary } from './vocabulary-lock.ts'

/**
 * Makes the stored forms of all tags anew where those in the database are of another version of tagForm, wiki by wiki, each in a
 * transaction of its own; tags that have become the same are merged, which is stored as a decision that people can take back. What broke
 * off goes on at the next start. The caller holds the migration's lock.
 * @returns tags that were merged
 */
export async function renewTagForms(db: Database, formOf = tagForm, version = tagFormVersion): Promise<number> {
  const { rows: stored } = await db.orm.execute<{ version: number }>(sql`select version from tag_form_version`)
  if (stored[0]?.version === version) return 0
  const { rows: wikis } = await db.orm.execute<{ id: number }>(sql`select id from wikis order by id`)
  let merged = 0
  for (const { id } of wikis) merged += await db.transaction((tx) => renewFormsOfWiki(tx, id, formOf))
  await db.transaction(async (tx) => {
    await tx.orm.execute(sql`delete from tag_form_version`)
    await tx.orm.execute(sql`insert into tag_form_version values (${version})`)
  })
  return merged
}

async function renewFormsOfWiki(tx: Transaction, wikiId: number, formOf: (label: string) => string): Promise<number> {
  await lockVocabulary(tx, wikiId)
  const { rows } = await tx.orm.execute<FormedTag & Record<string, unknown>>(
    sql`select id, label, normalised as form, status from tags where wiki_id = ${wikiId} order by id`,
  )
  const { forms, merges } = planForms(rows, formOf)
  if (forms.length === 0) return 0
  const ids = sql.param(forms.map(({ id }) => id))
  // Two may exchange their forms, and each row is held against the unique index by itself: all make way first.
  await tx.orm.execute(sql`update tags set normalised = '#' || id where id = any(${ids}::int[])`)
  await tx.orm.execute(sql`
    update tags t set normalised = f.form
    from unnest(${ids}::int[], ${sql.param(forms.map(({ form }) => form))}::text[]) as f (id, form) where t.id = f.id`)
  for (const { id, into } of merges)
    await tx.orm.execute(sql`
      update tags set parent_id = nullif(${into}, id) where wiki_id = ${wikiId} and parent_id = ${id}`)
  await joinTags(tx, wikiId, merges)
  return merges.length
}
