import type { Bus } from '@tagloom/bus'
import { events, type JobOptions, toMessage } from '@tagloom/contracts'
import { createJob, type Database, freezeJobPages, saveEmbeddings, startNextJob, storePages } from '@tagloom/database'

/*
 * For tests: wikis of made-up pages whose vectors are stored, and jobs that stand where clustering begins.
 */

export const model = 'test'
export const dims = 32

export interface Stores {
  readonly db: Database
  readonly bus: Bus
}

/** Page k of topic k % topics: the topic's direction and a little of its own, the same whenever it is asked for. */
export function vectorOf(k: number, topics: number, version = 0, width = dims): Float32Array {
  const vector = new Float32Array(width)
  for (let j = 0; j < width; j++) {
    const topic = Math.sin(((k % topics) + 1) * 12.9898 * (j + 1)) * 43_758.5453
    const own = Math.sin((k + 1 + version * 10_000) * 78.233 * (j + 1)) * 12_543.1234
    vector[j] = topic - Math.floor(topic) - 0.5 + 0.5 * (own - Math.floor(own) - 0.5)
  }
  return vector
}

/** Pages `p<k>` with their vectors, all of one width. */
export async function givePages(
  db: Database,
  wikiId: number,
  vectors: ReadonlyMap<number, Float32Array>,
  label: (k: number) => string | null = () => null,
): Promise<void> {
  const keys = [...vectors.keys()]
  const stored = await storePages(
    db,
    wikiId,
    keys.map((k) => ({ externalId: `p${k}`, title: `${k}`, text: `${k}`, goldLabel: label(k), tags: undefined })),
  )
  const { rows: pages } = await db.pool.query<{ id: string; content_hash: string }>(
    'select id, content_hash from pages where id = any($1)',
    [stored.pageIds],
  )
  const hashes = new Map(pages.map((page) => [Number(page.id), page.content_hash]))
  const rows = keys.map((k, i) => ({
    pageId: stored.pageIds[i]!,
    contentHash: hashes.get(stored.pageIds[i]!)!,
    tokens: 1,
    vector: vectors.get(k)!,
  }))
  await db.transaction((tx) => saveEmbeddings(tx, model, rows[0]!.vector.length, rows))
}

export const topicPages = (from: number, to: number, topics: number, version = 0) =>
  new Map(Array.from({ length: to - from }, (_, i) => [from + i, vectorOf(from + i, topics, version)]))

export async function embeddedJob({ db, bus }: Stores, wikiId: number, options: JobOptions = {}) {
  const job = await db.transaction(async (tx) => {
    await createJob(tx, { wikiId, options })
    const started = (await startNextJob(tx, wikiId))!
    const pages = await freezeJobPages(tx, started.id, wikiId, model)
    return { id: started.id, pages }
  })
  const data = { wiki_id: wikiId, job_id: job.id, pages: job.pages, embedded: job.pages, model }
  return {
    jobId: job.id,
    send: (again?: string) => bus.publish(toMessage(events.pagesEmbedded, data, { source: 'tagger' }, again)),
  }
}

const pagesAtOnce = 2_000

/** So many pages of topics, in steps that a transaction takes easily. */
export async function giveManyPages(db: Database, wikiId: number, pages: number, topics: number, width = dims) {
  for (let from = 0; from < pages; from += pagesAtOnce) {
    const keys = Array.from({ length: Math.min(pagesAtOnce, pages - from) }, (_, i) => from + i)
    await givePages(db, wikiId, new Map(keys.map((k) => [k, vectorOf(k, topics, 0, width)])))
  }
}
