import type { PoolClient } from 'pg'
import type { Database } from './database.ts'

/** Any constant that no other two-key advisory lock of ours uses */
const mirrorLockClass = 7_424_001

/**
 * Remembers which pages an import held, so that the others can be deleted at its end. The list is a temporary table on a connection
 * of its own: constant memory here, and nothing is left behind when this process or the connection dies.
 */
export interface PageMirror {
  /** Marks pages as present. */
  keep(pageIds: readonly number[]): Promise<void>
  /** Deletes every page of the wiki that was not kept. @returns how many */
  deleteOthers(): Promise<number>
  close(): Promise<void>
}

/** @returns undefined when another mirror of this wiki is open */
export async function openPageMirror(db: Database, wikiId: number): Promise<PageMirror | undefined> {
  const client = await db.pool.connect()
  // A connection that breaks while idle tells it here; the next query rejects.
  const ignore = () => {}
  client.on('error', ignore)
  // Unlocked first, since the server notices the end of a connection only a moment later. The connection is then destroyed rather than
  // reused: its table goes with it.
  const close = async () => {
    await client.query('select pg_advisory_unlock($1, $2)', [mirrorLockClass, wikiId]).catch(() => {})
    client.release(true)
  }
  try {
    const { rows } = await client.query<{ free: boolean }>('select pg_try_advisory_lock($1, $2) as free', [
      mirrorLockClass,
      wikiId,
    ])
    if (!rows[0]?.free) {
      client.off('error', ignore)
      client.release()
      return undefined
    }
    await client.query('create temporary table kept_pages (page_id bigint primary key)')
  } catch (error) {
    client.release(true)
    throw error
  }
  return {
    async keep(pageIds) {
      await client.query('insert into kept_pages select * from unnest($1::bigint[]) on conflict do nothing', [pageIds])
    },
    deleteOthers: () => deleteOthers(client, wikiId),
    close,
  }
}

async function deleteOthers(client: PoolClient, wikiId: number): Promise<number> {
  await client.query('analyze kept_pages')
  const { rows } = await client.query<{ count: number }>(
    `with gone as (
       delete from pages where wiki_id = $1 and not exists (select from kept_pages k where k.page_id = pages.id) returning id
     ), decisions as (
       delete from tag_decisions where wiki_id = $1 and page_id in (select id from gone)
     )
     select count(*)::int as count from gone`,
    [wikiId],
  )
  return rows[0]?.count ?? 0
}
