import { sql } from 'drizzle-orm'
import type { Transaction } from './database.ts'

/** Any constant that no other two-key advisory lock of ours uses */
const vocabularyLockClass = 7_424_569

/**
 * One transaction at a time writes a wiki's tags: whoever reads them to decide, or writes them, takes this first. Without it an import
 * locks tags in the order of their forms and new labels in the order of their clusters, and one waits for the other in a circle.
 * A lock on the rows cannot do it: of tags that are being made there are none yet. It goes with the transaction.
 */
export async function lockVocabulary(tx: Transaction, wikiId: number): Promise<void> {
  await tx.orm.execute(sql`select pg_advisory_xact_lock(${vocabularyLockClass}, ${wikiId})`)
}
