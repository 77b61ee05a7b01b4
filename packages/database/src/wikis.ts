import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { Executor } from './database.ts'
import { wikis } from './schema/wikis.ts'

export interface WikiRow {
  readonly id: number
  readonly name: string
  readonly currentJobId: string | null
  readonly createdAt: Date
  readonly pageCount: number
}

/** @returns undefined when a wiki of this name exists */
export async function createWiki(db: Executor, name: string): Promise<WikiRow | undefined> {
  const rows = await db.orm.insert(wikis).values({ name }).onConflictDoNothing({ target: wikis.name }).returning()
  return rows[0] && { ...rows[0], pageCount: 0 }
}

export async function readWiki(db: Executor, wikiId: number): Promise<WikiRow | undefined> {
  const rows = await select(db, eq(wikis.id, wikiId), 1)
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
  select(
    db,
    and(
      list.afterId === undefined ? undefined : gt(wikis.id, list.afterId),
      list.name === undefined ? undefined : eq(wikis.name, list.name),
      list.wikiIds && sql`${wikis.id} = any(${sql.param(list.wikiIds)}::int[])`,
    ),
    list.limit,
  )

const select = (db: Executor, where: SQL | undefined, limit: number): Promise<WikiRow[]> =>
  db.orm
    .select({
      id: wikis.id,
      name: wikis.name,
      currentJobId: wikis.currentJobId,
      createdAt: wikis.createdAt,
      pageCount: sql<number>`(select count(*)::int from pages p where p.wiki_id = wikis.id)`,
    })
    .from(wikis)
    .where(where)
    .orderBy(asc(wikis.id))
    .limit(limit)
