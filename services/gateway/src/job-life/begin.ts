import { startNextJob, type Transaction } from '@tagloom/database'
import type { Owe } from '@tagloom/service-kit'
import { readOwed } from './owed.ts'

/**
 * Begins the wiki's oldest queued job, unless one runs already. A new job begins with job.requested; one that is retried goes on
 * where it stopped, and finished batches are not redone.
 */
export async function beginNextJob(tx: Transaction, owe: Owe, wikiId: number): Promise<string | undefined> {
  const job = await startNextJob(tx, wikiId)
  if (!job) return undefined
  const { messages } = await readOwed(tx, job, job.attempt > 1 ? `attempt-${job.attempt}` : undefined)
  owe(...messages)
  return job.id
}
