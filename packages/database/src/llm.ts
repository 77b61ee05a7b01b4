import { sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'

/*
 * What the replicas of the tagger share about language models: slots (calls at once), spending (budgets) and replies (what was paid for
 * already). A slot is a row with an end: one whose holder died is free again when its time is over.
 */

/**
 * Takes one of `slots` slots for at most `forMs`.
 * @returns its number, or undefined when all are taken
 */
export async function takeLlmSlot(
  db: Database,
  of: { readonly slots: number; readonly holder: string; readonly forMs: number },
): Promise<number | undefined> {
  await db.orm.execute(sql`
    insert into llm_slots (slot, holder, expires_at) select s, '', 'epoch' from generate_series(0, ${of.slots - 1}) s
    where not exists (select from llm_slots where slot = ${of.slots - 1}) on conflict do nothing`)
  const { rows } = await db.orm.execute<{ slot: number }>(sql`
    update llm_slots set holder = ${of.holder}, expires_at = clock_timestamp() + ${of.forMs} * interval '1 millisecond'
    where slot = (
      select slot from llm_slots where slot < ${of.slots} and expires_at < clock_timestamp()
      order by slot limit 1 for update skip locked)
    returning slot`)
  return rows[0]?.slot
}

/** Holds a slot for `forMs` from now. @returns false when another has taken it since, or its time was over */
export async function extendLlmSlot(
  db: Executor,
  slot: number,
  of: { readonly holder: string; readonly forMs: number },
): Promise<boolean> {
  const { rowCount } = await db.orm.execute(sql`
    update llm_slots set expires_at = clock_timestamp() + ${of.forMs} * interval '1 millisecond'
    where slot = ${slot} and holder = ${of.holder} and expires_at >= clock_timestamp()`)
  return (rowCount ?? 0) > 0
}

/** Gives a slot back; one that was taken by another since is left to it. */
export async function freeLlmSlot(db: Executor, slot: number, holder: string): Promise<void> {
  await db.orm.execute(sql`update llm_slots set expires_at = 'epoch' where slot = ${slot} and holder = ${holder}`)
}

export interface LlmSpending {
  readonly tokens: number
  readonly costUsd: number
}

export async function readLlmSpending(db: Executor, jobId: string): Promise<LlmSpending> {
  const { rows } = await db.orm.execute<{ tokens: string; costUsd: number }>(
    sql`select tokens, cost_usd as "costUsd" from llm_spending where job_id = ${jobId}`,
  )
  return { tokens: Number(rows[0]?.tokens ?? 0), costUsd: rows[0]?.costUsd ?? 0 }
}

export async function addLlmSpending(db: Executor, jobId: string, spent: LlmSpending): Promise<void> {
  await db.orm.execute(sql`
    insert into llm_spending (job_id, tokens, cost_usd) values (${jobId}, ${spent.tokens}, ${spent.costUsd})
    on conflict (job_id) do update
    set tokens = llm_spending.tokens + excluded.tokens, cost_usd = llm_spending.cost_usd + excluded.cost_usd`)
}

/** Rows of one statement of the pruning */
const prunedAtOnce = 1_000

/**
 * Forgets replies that nobody asked for since so many days, in statements of bounded size. The same question is paid for again then.
 * @returns how many
 */
export async function pruneLlmReplies(db: Executor, olderThanDays: number): Promise<number> {
  let removed = 0
  for (;;) {
    const { rowCount } = await db.orm.execute(sql`
      delete from llm_replies where request_hash in (
        select request_hash from llm_replies where used_at < now() - ${olderThanDays} * interval '1 day'
        order by used_at limit ${prunedAtOnce} for update skip locked)`)
    removed += rowCount ?? 0
    if ((rowCount ?? 0) < prunedAtOnce) return removed
  }
}

/** What was answered to this request before, or undefined. */
export async function readLlmReply(db: Executor, requestHash: string): Promise<unknown> {
  const { rows } = await db.orm.execute<{ reply: unknown }>(
    sql`update llm_replies set used_at = now() where request_hash = ${requestHash} returning reply`,
  )
  return rows[0]?.reply
}

export async function saveLlmReply(db: Executor, requestHash: string, reply: unknown): Promise<void> {
  await db.orm.execute(sql`
    insert into llm_replies (request_hash, reply) values (${requestHash}, ${JSON.stringify(reply)}::jsonb)
    on conflict (request_hash) do update set reply = excluded.reply, used_at = now()`)
}
