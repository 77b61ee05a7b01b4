import { metricList } from '@tagloom/contracts'
import { madeUpRecord } from '@tagloom/contracts/testing'
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
  // As long as that of a job of some hundred pages
  const details = { padding: 'x'.repeat(3_000) }
  const record = JSON.stringify(madeUpRecord({ wikiId, jobId: 'job_1', at: new Date(), details }))
  await db.pool.query(
    `insert into clustering_metrics (wiki_id, job_id, created_at, figures, metrics_json)
     select $1, 'job_' || i, now() - i * interval '1 hour', jsonb_build_object(${figures}), $3::jsonb from generate_series(1, $2) i`,
    [wikiId, runs, record],
  )
  await db.pool.query('update wikis set current_job_id = $2 where id = $1', [wikiId, 'job_1'])
  await db.pool.query('analyze')
  return wikiId
}
