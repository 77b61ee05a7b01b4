import { setTimeout as delay } from 'node:timers/promises'
import type { Stage } from '@tagloom/contracts'
import { type Database, readJob, readStages } from '@tagloom/database'
import { expect } from 'vitest'

const lookEveryMs = 5
/** 300 pages of six topics: more than one batch of the embedding holds, so that two processes have work. */
export const pagesPerTopic = 50

/** Id of the wiki's running job, as soon as it has one. */
async function runningJob(db: Database, wikiName: string): Promise<string> {
  for (;;) {
    const { rows } = await db.pool.query<{ id: string }>(
      `select j.id from jobs j join wikis w on w.id = j.wiki_id where w.name = $1 and j.status = 'running'`,
      [wikiName],
    )
    if (rows[0]) return rows[0].id
    await delay(lookEveryMs)
  }
}

/** Resolves with the id of the wiki's running job when that has come to the stage. */
export async function whenJobIsAt(db: Database, wikiName: string, stage: Stage): Promise<string> {
  const jobId = await runningJob(db, wikiName)
  while (!(await readStages(db, jobId)).some((each) => each.stage === stage)) await delay(lookEveryMs)
  return jobId
}

export async function isStageOver(db: Database, jobId: string, stage: Stage): Promise<boolean> {
  return (await readStages(db, jobId)).some((each) => each.stage === stage && each.endedAt !== null)
}

/** How the job ended: its status, with the reason where it has one. */
export async function endOfJob(db: Database, jobId: string, timeoutMs = 90_000): Promise<string> {
  const read = () => readJob(db, jobId).catch(() => undefined)
  await expect
    .poll(async () => (await read())?.status ?? 'unknown', { timeout: timeoutMs, interval: 100 })
    .not.toMatch(/queued|running|unknown/)
  const job = await read()
  return job?.errorReason ? `${job.status}: ${job.errorReason}` : `${job?.status}`
}
