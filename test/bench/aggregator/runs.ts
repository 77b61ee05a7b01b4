import { metricGroups, metricList, type RunRecord, stages } from '@tagloom/contracts'
import type { Database } from '@tagloom/database'

/** A wiki with so many recorded runs, the figures of which wander. */
export async function fillRuns(db: Database, runs: number): Promise<number> {
  const { rows } = await db.pool.query("insert into wikis (name) values ('bench') returning id")
  const wikiId = rows[0].id as number
  await db.pool.query(
    `insert into jobs (id, wiki_id, status, options, created_at, started_at, ended_at)
     select 'job_' || i, $1, 'completed', '{}', now() - i * interval '1 hour', now() - i * interval '1 hour', now() - i * interval '1 hour'
     from generate_series(1, $2) i`,
    [wikiId, runs],
  )
  const figures = metricList.map(({ name }, at) => `'${name}', ${at + 1} + sin(i * ${at + 1}) + i * 0.001`).join(', ')
  const record = JSON.stringify(recordOf(wikiId))
  await db.pool.query(
    `insert into clustering_metrics (wiki_id, job_id, created_at, figures, metrics_json)
     select $1, 'job_' || i, now() - i * interval '1 hour', jsonb_build_object(${figures}), $3::jsonb from generate_series(1, $2) i`,
    [wikiId, runs, record],
  )
  await db.pool.query('update wikis set current_job_id = $2 where id = $1', [wikiId, 'job_1'])
  await db.pool.query('analyze')
  return wikiId
}

/** As long as that of a job of some hundred pages. */
function recordOf(wikiId: number): RunRecord {
  const at = new Date().toISOString()
  const distribution = { count: 100, mean: 5, min: 1, p50: 4, p90: 9, p95: 11, p99: 20, max: 30 }
  const histogram = { bounds: [1, 2, 5, 10], counts: [1, 2, 3, 4, 5] }
  const stage = {
    started_at: at,
    ended_at: at,
    duration_seconds: 10,
    busy_seconds: 9,
    work_seconds: 8,
    samples: 5,
    batch_seconds: distribution,
    counters: {},
    gauges: {},
    batches: [],
  }
  const groups = Object.fromEntries(
    metricGroups.map((group) => [
      group,
      Object.fromEntries(metricList.filter((one) => one.group === group).map(({ name, example }) => [name, example])),
    ]),
  )
  return {
    version: 1,
    wiki_id: wikiId,
    job_id: 'job_1',
    created_at: at,
    completed_at: at,
    status: 'completed',
    samples: { received: 20, expected: 20 },
    ...groups,
    stages: Object.fromEntries(stages.map((name) => [name, stage])),
    distributions: {
      llm_latency_ms: distribution,
      cluster_sizes: distribution,
      cluster_confidence: distribution,
      tags_per_page: distribution,
    },
    histograms: { cluster_sizes: histogram, tags_per_page: histogram },
    provenance: { options: {}, model: 'minilm', details: { padding: 'x'.repeat(3_000) }, config_hash: 'x'.repeat(64) },
  } as unknown as RunRecord
}
