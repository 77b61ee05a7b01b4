import { eq, sql } from 'drizzle-orm'
import { copyRows } from './copy.ts'
import type { Database, Executor, Transaction } from './database.ts'
import { clusterings } from './schema/clusters.ts'
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

/** Stores a clustering whole, by COPY. */
export async function storeClustering(
  tx: Transaction,
  jobId: string,
  of: {
    readonly clusters: readonly ClusterToStore[]
    readonly members: Iterable<MemberToStore>
    readonly figures: Record<string, unknown>
  },
): Promise<void> {
  await tx.orm.insert(clusterings).values({ jobId, figures: of.figures })
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
