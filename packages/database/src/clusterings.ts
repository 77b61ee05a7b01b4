import { eq, sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import { clusterings, foundLayers } from './schema/clusters.ts'
import { floatsOf } from './vectors.ts'

/** The vectors of a job's pages, in the order of page id. Pages without text have none and are not among them. */
export interface JobVectors {
  readonly pageIds: Float64Array
  readonly goldLabels: readonly (string | null)[]
  readonly dims: number
  /** [pages × dims] row-major float32 */
  readonly vectors: Float32Array
}

const pagesARead = 2_000

/**
 * Reads vectors by key in bounded steps, straight into one array: memory is that array and one step.
 * A page that was changed since the job began still counts, with the vector that it has now.
 */
export async function readJobVectors(db: Database, jobId: string, model: string): Promise<JobVectors> {
  const { rows: counted } = await db.orm.execute<{ count: number; dims: number | null }>(sql`
    select count(*)::int as count, max(e.dims) as dims
    from job_pages j join page_embeddings e on e.page_id = j.page_id and e.model = ${model}
    where j.job_id = ${jobId} and e.vector is not null`)
  const most = counted[0]?.count ?? 0
  const dims = counted[0]?.dims ?? 0
  const pageIds = new Float64Array(most)
  const goldLabels: (string | null)[] = []
  const vectors = new Float32Array(most * dims)
  let count = 0
  let after = 0
  while (count < most) {
    const { rows } = await db.orm.execute<{ page_id: string; vector: Buffer; gold_label: string | null }>(sql`
      select j.page_id, e.vector, p.gold_label
      from job_pages j join page_embeddings e on e.page_id = j.page_id and e.model = ${model} join pages p on p.id = j.page_id
      where j.job_id = ${jobId} and e.vector is not null and j.page_id > ${after}
      order by j.page_id limit ${Math.min(pagesARead, most - count)}`)
    if (rows.length === 0) break
    for (const row of rows) {
      after = Number(row.page_id)
      const values = row.vector.byteLength / Float32Array.BYTES_PER_ELEMENT
      if (values !== dims) throw new Error(`the embedding of page ${after} has ${values} values, expected ${dims}`)
      pageIds[count] = after
      goldLabels.push(row.gold_label)
      new Uint8Array(vectors.buffer, count * dims * 4, dims * 4).set(row.vector)
      count++
    }
  }
  return { pageIds: pageIds.subarray(0, count), goldLabels, dims, vectors: vectors.subarray(0, count * dims) }
}

export interface ClusterToStore {
  /** Runs over the whole job */
  readonly no: number
  /** 0 is the finest */
  readonly layer: number
  readonly parentNo: number | null
  readonly chosen: boolean
  readonly size: number
  readonly strength: number
  /** Unit length, in the space of the embeddings */
  readonly centroid: Float32Array
  readonly joinThreshold: number
  readonly lineageId: string
  readonly lineageEvent: 'continued' | 'born' | 'split' | 'merged'
  readonly lineageFrom: readonly string[]
}

export interface MemberToStore {
  readonly layer: number
  readonly pageId: number
  readonly clusterNo: number
  readonly strength: number
  readonly attached: boolean
}

/** What the wiki's next run goes on from. */
export interface FoundLayerToStore {
  /** Distance from the chosen layer, finer ones below 0 */
  readonly fromChosen: number
  readonly resolution: number
  /** Of each of the pages */
  readonly communities: Int32Array
}

/** Stores a clustering whole, by COPY. Of the wiki's found layers only this job's and those of the run before it stay. */
export async function storeClustering(
  tx: Transaction,
  jobId: string,
  of: {
    readonly clusters: readonly ClusterToStore[]
    readonly members: Iterable<MemberToStore>
    /** Of the pages with a vector, ascending by page id */
    readonly found: { readonly pageIds: Float64Array; readonly layers: readonly FoundLayerToStore[] }
    readonly figures: Record<string, unknown>
  },
): Promise<void> {
  await tx.orm.insert(clusterings).values({ jobId, figures: of.figures })
  await storeFoundLayers(tx, jobId, of.found)
  await copyRows(
    tx,
    'clusters',
    [
      'job_id',
      'no',
      'layer',
      'parent_no',
      'chosen',
      'size',
      'strength',
      'centroid',
      'join_threshold',
      'lineage_id',
      'lineage_event',
      'lineage_from',
    ],
    of.clusters.map((c) => [
      jobId,
      c.no,
      c.layer,
      c.parentNo,
      c.chosen,
      c.size,
      c.strength,
      Buffer.from(c.centroid.buffer, c.centroid.byteOffset, c.centroid.byteLength),
      c.joinThreshold,
      c.lineageId,
      c.lineageEvent,
      JSON.stringify(c.lineageFrom),
    ]),
  )
  await copyRows(
    tx,
    'cluster_members',
    ['job_id', 'layer', 'page_id', 'cluster_no', 'strength', 'attached'],
    rowsOf(jobId, of.members),
  )
}

async function storeFoundLayers(
  tx: Transaction,
  jobId: string,
  { pageIds, layers }: { readonly pageIds: Float64Array; readonly layers: readonly FoundLayerToStore[] },
): Promise<void> {
  await tx.orm.execute(sql`
    delete from found_layers f using jobs j, jobs old
    where j.id = ${jobId} and old.id = f.job_id and old.wiki_id = j.wiki_id and f.job_id is distinct from j.previous_job_id`)
  const pages = bytesOf(pageIds)
  if (layers.length === 0) return
  await tx.orm.insert(foundLayers).values(
    layers.map(({ fromChosen, resolution, communities }) => ({
      jobId,
      fromChosen,
      resolution,
      pages,
      communities: bytesOf(communities),
    })),
  )
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array | Int32Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)

export interface StoredFoundLayer extends FoundLayerToStore {
  /** Ascending */
  readonly pageIds: Float64Array
}

/** None for a job that was followed by others. */
export async function readFoundLayers(db: Executor, jobId: string): Promise<StoredFoundLayer[]> {
  const rows = await db.orm
    .select()
    .from(foundLayers)
    .where(eq(foundLayers.jobId, jobId))
    .orderBy(foundLayers.fromChosen)
  return rows.map(({ fromChosen, resolution, pages, communities }) => ({
    fromChosen,
    resolution,
    pageIds: new Float64Array(new Uint8Array(pages).buffer),
    communities: new Int32Array(new Uint8Array(communities).buffer),
  }))
}

/** Ascending ids of the pages that two jobs have with the same content. */
export async function listUnchangedPageIds(db: Executor, jobId: string, earlierJobId: string): Promise<Float64Array> {
  const { rows } = await db.orm.execute<{ page_id: string }>(sql`
    select page_id from job_pages a join job_pages b using (page_id, content_hash)
    where a.job_id = ${jobId} and b.job_id = ${earlierJobId} order by page_id`)
  return Float64Array.from(rows, (row) => Number(row.page_id))
}

function* rowsOf(jobId: string, members: Iterable<MemberToStore>): Generator<(string | number | boolean)[]> {
  for (const m of members) yield [jobId, m.layer, m.pageId, m.clusterNo, m.strength, m.attached]
}

export async function readClusteringFigures(db: Executor, jobId: string): Promise<Record<string, unknown> | undefined> {
  const rows = await db.orm
    .select({ figures: clusterings.figures })
    .from(clusterings)
    .where(eq(clusterings.jobId, jobId))
  return rows[0]?.figures
}

/** A cluster as lineages are matched by: its members and its place. */
export interface StoredCluster {
  readonly no: number
  readonly layer: number
  readonly parentNo: number | null
  readonly chosen: boolean
  readonly size: number
  readonly strength: number
  readonly joinThreshold: number
  readonly lineageId: string
  readonly centroid: Float32Array
}

/** A job's clusters of all layers, in the order of their numbers. */
export async function readStoredClusters(db: Executor, jobId: string): Promise<StoredCluster[]> {
  const { rows } = await db.orm.execute<Omit<StoredCluster, 'centroid'> & { centroid: Buffer }>(sql`
    select no, layer, parent_no as "parentNo", chosen, size, strength, join_threshold as "joinThreshold",
      lineage_id as "lineageId", centroid
    from clusters where job_id = ${jobId} order by no`)
  return rows.map((row) => ({ ...row, centroid: floatsOf(row.centroid) }))
}

/** A job's memberships, in the order of layer and page id, by cursor-like steps of bounded size. */
export async function* readMembers(db: Executor, jobId: string): AsyncGenerator<MemberToStore[]> {
  let layer = -1
  let page = 0
  for (;;) {
    const { rows } = await db.orm.execute<{
      layer: number
      pageId: string
      clusterNo: number
      strength: number
      attached: boolean
    }>(sql`
      select layer, page_id as "pageId", cluster_no as "clusterNo", strength, attached from cluster_members
      where job_id = ${jobId} and (layer, page_id) > (${layer}, ${page}) order by layer, page_id limit 20000`)
    const last = rows.at(-1)
    if (!last) return
    layer = last.layer
    page = Number(last.pageId)
    yield rows.map((row) => ({ ...row, pageId: Number(row.pageId) }))
  }
}
