import pg from 'pg'
import { LocalServerError } from './local-server-error.ts'
import { isAtLeast, OLDEST_NATS, readNatsInfo } from './nats-info.ts'

const OLDEST_POSTGRES = 16
const TIMEOUT_MS = 10_000

/** The same server's `postgres` database, which is there always. */
export function adminUrl(url: string): string {
  const parsed = new URL(url)
  parsed.pathname = '/postgres'
  return parsed.href
}

export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 60_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

export async function answersQuery(url: string): Promise<boolean> {
  try {
    await withClient(url, (client) => client.query('select 1'))
    return true
  } catch {
    return false
  }
}

/** Says in words why a DATABASE_URL from outside cannot be used. */
export async function checkPostgres(url: string): Promise<void> {
  const shown = withoutPassword(url)
  const advice = 'leave DATABASE_URL unset to use the PostgreSQL that comes with Tagloom.'
  if (!/^postgres(ql)?:\/\/./.test(url) || !URL.canParse(url)) {
    const expected = 'postgres://user:password@host:port/database'
    throw new LocalServerError(
      'server_unreachable',
      `DATABASE_URL=${shown} is no address, expected ${expected}: correct it, or ${advice}`,
    )
  }
  let version: number
  try {
    version = await withClient(url, async (client) => {
      const { rows } = await client.query<{ version: string }>(
        "select current_setting('server_version_num') as version",
      )
      return Math.floor(Number(rows[0]!.version) / 10_000)
    })
  } catch (cause) {
    throw new LocalServerError(
      'server_unreachable',
      `DATABASE_URL=${shown} cannot be used: ${reasonOf(cause)}. ` +
        `Start that server, correct the address, or ${advice}`,
      { cause },
    )
  }
  if (version >= OLDEST_POSTGRES) return
  throw new LocalServerError(
    'server_too_old',
    `DATABASE_URL=${shown} is PostgreSQL ${version}, expected ${OLDEST_POSTGRES} or later. ` +
      'Leave DATABASE_URL unset to use the PostgreSQL that comes with Tagloom.',
  )
}

/** Says in words why a NATS_URL from outside cannot be used. */
export async function checkNats(url: string): Promise<void> {
  const shown = withoutPassword(url)
  const advice = 'Leave NATS_URL unset to let Tagloom run a nats-server of its own.'
  let parsed: URL
  try {
    parsed = new URL(url.includes('://') ? url : `nats://${url}`)
  } catch (cause) {
    throw new LocalServerError('server_unreachable', `NATS_URL=${shown} is no address, expected nats://host:port.`, {
      cause,
    })
  }
  const info = await readNatsInfo(parsed.hostname, Number(parsed.port || 4222), TIMEOUT_MS).catch((cause: Error) => {
    throw new LocalServerError('server_unreachable', `NATS_URL=${shown} cannot be used: ${cause.message} ${advice}`, {
      cause,
    })
  })
  if (!isAtLeast(info.version, OLDEST_NATS)) {
    throw new LocalServerError(
      'server_too_old',
      `NATS_URL=${shown} is nats-server ${info.version}, expected ${OLDEST_NATS} or later. ${advice}`,
    )
  }
  if (info.jetstream !== true) {
    throw new LocalServerError('server_too_old', `NATS_URL=${shown} has no JetStream: start it with -js. ${advice}`)
  }
}

function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:@/]*):[^@/]*@/, '$1:***@')
}

function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}
