import { and, asc, eq, gt, isNull, ne, sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'
import { apiKeys } from './schema/wikis.ts'

export type ApiKeyRow = Omit<typeof apiKeys.$inferSelect, 'hash'>
type NewApiKeyRow = Pick<typeof apiKeys.$inferInsert, 'name' | 'hash' | 'scopes' | 'wikiIds'>

const columns = {
  id: apiKeys.id,
  name: apiKeys.name,
  scopes: apiKeys.scopes,
  wikiIds: apiKeys.wikiIds,
  createdAt: apiKeys.createdAt,
  revokedAt: apiKeys.revokedAt,
}

export async function createApiKey(db: Executor, key: NewApiKeyRow): Promise<ApiKeyRow> {
  const [row] = await db.orm.insert(apiKeys).values(key).returning(columns)
  return row!
}

/**
 * The key that the environment names: exists, not revoked, with every scope for every wiki. An earlier one of the same name,
 * from before the environment changed, is revoked.
 */
export async function ensureApiKey(db: Database, name: string, hash: string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.orm
      .insert(apiKeys)
      .values({ name, hash, scopes: ['read', 'write', 'admin'], wikiIds: null })
      .onConflictDoUpdate({ target: apiKeys.hash, set: { revokedAt: null } })
    await tx.orm
      .update(apiKeys)
      .set({ revokedAt: sql`now()` })
      .where(and(eq(apiKeys.name, name), ne(apiKeys.hash, hash), isNull(apiKeys.revokedAt)))
  })
}

/** The key with this hash, unless it is revoked. */
export async function findApiKey(db: Executor, hash: string): Promise<ApiKeyRow | undefined> {
  const rows = await db.orm
    .select(columns)
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, hash), isNull(apiKeys.revokedAt)))
  return rows[0]
}

export const listApiKeys = (db: Executor, limit: number, afterId = 0): Promise<ApiKeyRow[]> =>
  db.orm.select(columns).from(apiKeys).where(gt(apiKeys.id, afterId)).orderBy(asc(apiKeys.id)).limit(limit)

/** @returns false when there is no such key; revoking twice changes nothing */
export async function revokeApiKey(db: Executor, id: number): Promise<boolean> {
  const rows = await db.orm
    .update(apiKeys)
    .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
    .where(eq(apiKeys.id, id))
    .returning({ id: apiKeys.id })
  return rows.length === 1
}
