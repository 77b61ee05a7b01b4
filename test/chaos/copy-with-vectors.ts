import type { Database } from '@tagloom/database'

/** A wiki of the same pages, in their order, with their vectors: a job of it embeds nothing. @returns its id */
export async function copyWithVectors(db: Database, wikiId: number, name: string): Promise<number> {
  const { rows } = await db.pool.query<{ id: number }>(
    `with wiki as (insert into wikis (name) values ($2) returning id),
     copies as (
       insert into pages (wiki_id, external_id, title, text, content_hash)
       select wiki.id, p.external_id, p.title, p.text, p.content_hash from pages p, wiki where p.wiki_id = $1 order by p.id
       returning id, external_id),
     vectors as (
       insert into page_embeddings (page_id, model, content_hash, dims, tokens, vector)
       select c.id, e.model, e.content_hash, e.dims, e.tokens, e.vector
       from copies c join pages p on p.wiki_id = $1 and p.external_id = c.external_id join page_embeddings e on e.page_id = p.id)
     select id from wiki`,
    [wikiId, name],
  )
  return rows[0]!.id
}
