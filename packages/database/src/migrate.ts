import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { openDatabase } from './database.ts'
import { DatabaseUnavailable } from './errors.ts'
import { renewTagForms } from './renew-tag-forms.ts'

const migrationsFolder = fileURLToPath(new URL('../migrations', import.meta.url))
const oldestServer = 160_000
/** Any constant that nothing else in the database uses */
const lockKey = 7_424_566

/**
 * Brings the database to the current schema, and the stored forms of tags to those that this release makes. Any number of processes may call it at once: drizzle takes no lock of its own,
 * so one is held here, on the same connection, and goes with it.
 */
export async function migrate(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'tagloom-migrate',
  })
  try {
    await client.connect()
  } catch (cause) {
    throw new DatabaseUnavailable(
      `PostgreSQL cannot be reached (${(cause as Error).message}): check DATABASE_URL and that the server runs`,
      { cause },
    )
  }
  try {
    const { rows } = await client.query<{ server_version_num: string }>('show server_version_num')
    const version = Number(rows[0]?.server_version_num)
    if (version < oldestServer) {
      throw new Error(
        `PostgreSQL ${Math.floor(version / 10_000)} is too old: expected 16 or later; point DATABASE_URL at a newer server`,
      )
    }
    await client.query("set lock_timeout = '120s'")
    await client.query('select pg_advisory_lock($1)', [lockKey])
    await runMigrations(drizzle(client), { migrationsFolder })
    await renewForms(url)
  } finally {
    await client.end()
  }
}

async function renewForms(url: string): Promise<void> {
  const db = openDatabase({ url, max: 1, applicationName: 'tagloom-migrate' })
  try {
    await renewTagForms(db)
  } finally {
    await db.close()
  }
}
