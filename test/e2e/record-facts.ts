import type { MetricName } from '@tagloom/contracts'
import type { Database } from '@tagloom/database'

export type Line = Readonly<Record<string, unknown>>
export type Facts = Readonly<Record<MetricName, number | null>>

/**
 * Every metric of a job's record worked out anew, from what the pipeline left in the database and from what it logged: without its samples,
 * and without the code that folds them.
 * @param lines those of the job, of all services
 */
export async function factsOfJob(db: Database, jobId: string, lines: readonly Line[]): Promise<Facts> {
  const { rows } = await db.pool.query(sql, [jobId])
  const facts = Object.fromEntries(Object.entries(rows[0]).map(([name, value]) => [name, numberOf(value)]))
  const of = (event: string): Line[] => lines.filter((line) => line.event === event)
  const fieldOf = (event: string, field: string): number | null => numberOf(of(event).at(-1)?.[field] ?? null)
  const latencies = of('labeller_called').map((line) => line.latency_ms as number)
  const errors = {
    llm_failures: of('llm_failure').length,
    llm_timeouts: of('llm_timeout').length,
    parsing_errors: of('parsing_error').length,
    propagation_conflicts: fieldOf('tags_propagated', 'conflicts'),
    database_errors: of('database_error').length,
  }
  const total = Object.values(errors).reduce((a: number, b) => a + b!, 0)
  const pages = facts.pages_processed!
  return {
    ...facts,
    ...errors,
    pages_embedded: fieldOf('embedding_completed', 'embedded'),
    pages_reused: fieldOf('embedding_completed', 'reused'),
    total_errors: total,
    error_rate_percentage: (100 * (total - errors.propagation_conflicts!)) / (pages + latencies.length),
    avg_llm_latency_ms: latencies.reduce((a, b) => a + b, 0) / latencies.length,
    llm_calls: latencies.length,
    silhouette_score: fieldOf('clustering_completed', 'silhouette_score'),
    silhouette_cosine: await cosineSilhouette(db, jobId),
  } as Facts
}

const numberOf = (value: unknown): number | null => (value === null ? null : Number(value))

const stageSeconds = (stage: string, name: string) =>
  `(select extract(epoch from ended_at - started_at) from job_stages where job_id = $1 and stage = '${stage}') as ${name}`

const sql = `
with job as (select id, options, extract(epoch from ended_at - started_at) as seconds from jobs where id = $1),
per_page as (
  select count(t.tag_id) as tags from job_pages p left join page_tags t on t.job_id = p.job_id and t.page_id = p.page_id
  where p.job_id = $1 group by p.page_id),
pages as (
  select count(*) as n, count(*) filter (where tags > 0) as tagged, sum(tags) as applied, min(tags) as fewest, max(tags) as most from per_page),
sizes as (
  select count(m.page_id) as size from clusters c join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no
  where c.job_id = $1 and c.chosen group by c.no),
clustered as (select count(*) as clusters, coalesce(sum(size), 0) as n, min(size) as least, max(size) as most from sizes),
naming as (
  select count(*) as clusters, sum(tags) as tags, avg(best) as confidence from (
    select (select count(*) from cluster_tags t where t.job_id = c.job_id and t.cluster_no = c.no) as tags,
      coalesce((select t.confidence from cluster_tags t where t.job_id = c.job_id and t.cluster_no = c.no and t.rank = 0), 0) as best
    from clusters c where c.job_id = $1) x),
previous as (
  select earlier.id from jobs earlier, jobs own where own.id = $1 and earlier.wiki_id = own.wiki_id and earlier.status = 'completed'
    and earlier.ended_at < own.created_at order by earlier.ended_at desc limit 1),
topics as (
  select p.job_id, p.page_id, c.lineage_id from job_pages p
  left join (cluster_members m join clusters c on c.job_id = m.job_id and c.no = m.cluster_no and c.chosen)
    on m.job_id = p.job_id and m.page_id = p.page_id
  where p.job_id = $1 or p.job_id = (select id from previous)),
churn as (
  select 100.0 * count(*) filter (where old.lineage_id is distinct from new.lineage_id) / nullif(count(*), 0) as percentage
  from topics new join topics old on old.page_id = new.page_id and old.job_id <> new.job_id where new.job_id = $1),
events as (
  select count(*) filter (where lineage_event = 'continued') as continued, count(*) filter (where lineage_event = 'born') as born,
    count(*) filter (where lineage_event = 'split') as split, count(*) filter (where lineage_event = 'merged') as merged
  from clusters where job_id = $1 and chosen),
gone as (
  select count(*) as died from clusters old where old.job_id = (select id from previous) and old.chosen and not exists (
    select from clusters new where new.job_id = $1 and (new.lineage_id = old.lineage_id or new.lineage_from ? old.lineage_id))),
core as (
  select count(*) as n from cluster_members m join clusters c on c.job_id = m.job_id and c.no = m.cluster_no
  where m.job_id = $1 and c.chosen and not m.attached),
spent as (
  select coalesce(sum(tokens_in + tokens_out), 0)::float8 as tokens, coalesce(sum(cost_usd), 0) as usd from llm_calls where job_id = $1)
select job.seconds as total_pipeline_duration_seconds,
  ${stageSeconds('embed', 'embedding_duration_seconds')}, ${stageSeconds('cluster', 'clustering_duration_seconds')},
  ${stageSeconds('label', 'tag_generation_duration_seconds')}, ${stageSeconds('propagate', 'propagation_duration_seconds')},
  pages.n / job.seconds as pages_per_second,
  clustered.clusters as cluster_count, clustered.n::float8 / clustered.clusters as avg_cluster_size,
  clustered.least as min_cluster_size, clustered.most as max_cluster_size,
  pages.n - clustered.n as outlier_count, 100.0 * (pages.n - clustered.n) / pages.n as outlier_percentage,
  naming.confidence as avg_cluster_confidence, naming.tags::float8 / naming.clusters as tags_per_cluster,
  pages.n as pages_processed, pages.tagged as pages_tagged, pages.n - pages.tagged as pages_untagged, pages.applied as total_tags_applied,
  pages.applied::float8 / pages.n as avg_tags_per_page, pages.fewest as min_tags_per_page, pages.most as max_tags_per_page,
  pages.applied::float8 / pages.tagged as avg_tags_per_tagged_page, 100.0 * pages.tagged / pages.n as coverage_percentage,
  100.0 * (pages.n - core.n) / pages.n as outlier_percentage_before_attaching, churn.percentage as churn_percentage,
  events.continued as clusters_continued, events.born as clusters_born, events.split as clusters_split, events.merged as clusters_merged,
  gone.died as clusters_died, null as gold_ami, null as gold_ari, null as gold_purity, null as seed_stability_ari,
  spent.tokens as llm_tokens, spent.usd as llm_cost_usd,
  100 * greatest(spent.tokens / (options ->> 'llm_budget_tokens')::float8, spent.usd / (options ->> 'llm_budget_usd')::float8)
    as llm_budget_percentage
from job, pages, clustered, naming, churn, events, gone, core, spent`

/** Rousseeuw's definition, pair by pair in double precision: mean of (b − a) / max(a, b); a page alone in its cluster counts 0. */
async function cosineSilhouette(db: Database, jobId: string): Promise<number | null> {
  const { rows } = await db.pool.query<{ cluster: number; vector: Buffer }>(
    `select m.cluster_no as cluster, e.vector from clusters c join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no
     join jobs j on j.id = c.job_id join page_embeddings e on e.page_id = m.page_id and e.model = j.model
     where c.job_id = $1 and c.chosen`,
    [jobId],
  )
  const pages = rows.map(({ cluster, vector }) => ({ cluster, vector: unit(vector) }))
  const sizes = new Map<number, number>()
  for (const { cluster } of pages) sizes.set(cluster, (sizes.get(cluster) ?? 0) + 1)
  if (sizes.size < 2) return null
  let sum = 0
  for (const page of pages) {
    const distances = new Map<number, number>()
    for (const other of pages) {
      if (other !== page)
        distances.set(other.cluster, (distances.get(other.cluster) ?? 0) + 1 - dot(page.vector, other.vector))
    }
    const own = sizes.get(page.cluster)!
    if (own === 1) continue
    const a = distances.get(page.cluster)! / (own - 1)
    const b = Math.min(...[...sizes].flatMap(([no, n]) => (no === page.cluster ? [] : [distances.get(no)! / n])))
    sum += (b - a) / Math.max(a, b)
  }
  return sum / pages.length
}

function unit(bytes: Buffer): Float64Array {
  const values = Float64Array.from({ length: bytes.length / 4 }, (_, d) => bytes.readFloatLE(4 * d))
  const length = Math.sqrt(dot(values, values))
  return values.map((value) => value / length)
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!
  return sum
}
