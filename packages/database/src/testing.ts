import type { MetricSample } from '@tagloom/contracts'
import { createTestDatabase } from '@tagloom/local-servers/testing'
import { type Database, openDatabase } from './database.ts'
import { sampleToStore, storeSamples } from './metric-samples.ts'
import { migrate } from './migrate.ts'
import { wikis } from './schema/wikis.ts'

/** A migrated database of the test file's own. `close` also drops it. */
export async function openTestDatabase(): Promise<Database & { readonly url: string }> {
  const created = await createTestDatabase({ name: 'migrated', build: migrate })
  const database = openDatabase({ url: created.url, applicationName: 'test' })
  return {
    ...database,
    url: created.url,
    close: async () => {
      await database.close()
      await created.drop()
    },
  }
}

export async function createTestWiki(
  db: Database,
  name = `wiki ${Math.random().toString(36).slice(2)}`,
): Promise<number> {
  const rows = await db.orm.insert(wikis).values({ name }).returning({ id: wikis.id })
  return rows[0]?.id as number
}

export const saveSamples = (db: Database, samples: readonly MetricSample[]): Promise<void> =>
  storeSamples(
    db,
    samples.map((sample) => sampleToStore(sample, Buffer.from(JSON.stringify(sample)))),
  )

/** Resolves when so many connections to the database wait for a lock. */
export async function whenWaitingForLocks(db: Database, connections: number, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs
  for (;;) {
    const { rows } = await db.pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (rows[0]?.n === connections) return
    if (Date.now() > end) throw new Error(`expected ${connections} connections that wait for a lock, got ${rows[0]?.n}`)
  }
}
