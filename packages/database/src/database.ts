import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { DatabaseUnavailable } from './errors.ts'

/** Where a query can run: a pool or one transaction. */
export interface Executor {
  readonly orm: NodePgDatabase
}

/** One transaction on one connection. */
export interface Transaction extends Executor {
  readonly client: pg.PoolClient
}

export interface Database extends Executor {
  readonly pool: pg.Pool
  /** Runs `work` between BEGIN and COMMIT; any error rolls back and is thrown on. */
  transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>
  /** Answers when the server does, throws DatabaseUnavailable when it does not within a second or two. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly url: string
  /** Most connections at once */
  readonly max?: number
  readonly applicationName?: string
  /** Told of errors on idle connections, e.g. when the server restarts; the pool replaces them by itself */
  readonly onIdleError?: (error: Error) => void
  /** A statement that runs longer is cancelled by the server */
  readonly statementTimeoutMs?: number
  /** Most time to get a connection */
  readonly connectTimeoutMs?: number
}

export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max ?? 8,
    application_name: options.applicationName ?? 'tagloom',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: options.statementTimeoutMs ?? 120_000,
    idle_in_transaction_session_timeout: 120_000,
    keepAlive: true,
    // Without it the system first asks after two hours whether a server that says nothing is still there.
    keepAliveInitialDelayMillis: 10_000,
  })
  // Without a listener the restart of a database server ends this process.
  pool.on('error', (error) => options.onIdleError?.(error))
  return {
    pool,
    orm: drizzle(pool),
    transaction: (work) => transaction(pool, work),
    ping: () => ping(pool),
    close: () => pool.end(),
  }
}

async function transaction<Result>(pool: pg.Pool, work: (tx: Transaction) => Promise<Result>): Promise<Result> {
  const client = await pool.connect()
  // A connection that breaks in mid-transaction also reports it here; the query in hand rejects with the same error.
  const ignore = () => {}
  client.on('error', ignore)
  let broken: Error | undefined
  try {
    await client.query('begin')
    const result = await work({ orm: drizzle(client), client })
    await client.query('commit')
    return result
  } catch (error) {
    // After a failed COPY or a lost connection a rollback never answers: such a client is destroyed.
    await rollback(client).catch((cause: Error) => {
      broken = cause
    })
    throw error
  } finally {
    client.off('error', ignore)
    client.release(broken ?? copyBroken.has(client))
  }
}

const copyBroken = new WeakSet<pg.PoolClient>()

/** Marks a connection whose COPY was broken off: it is destroyed at the end of its transaction. */
export function destroyAfterUse(client: pg.PoolClient): void {
  copyBroken.add(client)
}

async function rollback(client: pg.PoolClient): Promise<void> {
  if (copyBroken.has(client)) return
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DatabaseUnavailable('rollback got no answer within 5 s')), 5_000)
  })
  try {
    await Promise.race([client.query('rollback'), tooLong])
  } finally {
    clearTimeout(timer)
  }
}

async function ping(pool: pg.Pool): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DatabaseUnavailable('PostgreSQL gave no answer within 2 s')), 2_000)
  })
  try {
    await Promise.race([pool.query('select 1'), tooLong])
  } catch (cause) {
    if (cause instanceof DatabaseUnavailable) throw cause
    throw new DatabaseUnavailable(`PostgreSQL cannot be reached: ${(cause as Error).message}`, { cause })
  } finally {
    clearTimeout(timer)
  }
}
