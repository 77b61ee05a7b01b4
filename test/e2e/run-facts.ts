import type { Database } from '@tagloom/database'

/** What a job gave, without anything that may differ between two equal runs: ids of rows, times. */
export async function readTags(db: Database, jobId: string): Promise<string[]> {
  const { rows } = await db.pool.query<{ line: string }>(
    `select p.external_id || ' | ' || t.label || ' | ' || round(x.confidence::numeric, 4) as line
     from page_tags x join pages p on p.id = x.page_id join tags t on t.id = x.tag_id where x.job_id = $1 order by 1`,
    [jobId],
  )
  return rows.map((row) => row.line)
}

export async function readCurrentJob(db: Database, wikiId: number): Promise<string | null> {
  const { rows } = await db.pool.query<{ current_job_id: string | null }>(
    'select current_job_id from wikis where id = $1',
    [wikiId],
  )
  return rows[0]?.current_job_id ?? null
}
