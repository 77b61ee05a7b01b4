import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import { wikis } from './schema/wikis.ts'

export type WikiRow = typeof wikis.$inferSelect

/** @returns undefined when a wiki of this name exists */
export async function createWiki(db: Executor, name: string): Promise<WikiRow | undefined> {
  const rows = await db.orm.insert(wikis).values({ name }).onConflictDoNothing({ target: wikis.name }).returning()
  return rows[0]
}

export async function readWiki(db: Executor, wikiId: number): Promise<WikiRow | undefined> {
  const rows = await db.orm.select().from(wikis).where(eq(wikis.id, wikiId))
  return rows[0]
}

export interface ListWikis {
  readonly limit: number
  /** Only wikis after this one */
  readonly afterId?: number | undefined
  readonly name?: string | undefined
  /** Only these; undefined: all */
  readonly wikiIds?: readonly number[] | undefined
}

export const listWikis = (db: Executor, list: ListWikis): Promise<WikiRow[]> =>
  db.orm
    .select()
    .from(wikis)
    .where(
      and(
        list.afterId === undefined ? undefined : gt(wikis.id, list.afterId),
        list.name === undefined ? undefined : eq(wikis.name, list.name),
        list.wikiIds && sql`${wikis.id} = any(${sql.param(list.wikiIds)}::int[])`,
      ),
    )
    .orderBy(asc(wikis.id))
    .limit(list.limit)

/** How many pages each of these wikis has. Counting reads an index from end to end: only where the number is shown. */
export async function countPages(db: Executor, wikiIds: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await db.orm.execute<{ wiki_id: number; pages: number }>(sql`
    select wiki_id, count(*)::int as pages from pages where wiki_id = any(${sql.param(wikiIds)}::int[]) group by wiki_id`)
  const counted = new Map(rows.map((row) => [row.wiki_id, row.pages]))
  return new Map(wikiIds.map((id) => [id, counted.get(id) ?? 0]))
}
