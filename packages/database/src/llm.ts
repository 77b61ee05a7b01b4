import { and, asc, eq, sql } from 'drizzle-orm'
import type { Database, Executor } from './database.ts'
import { type LlmCallOutcome, llmCalls } from './schema/tags.ts'

/*
 * What the replicas of the tagger share about language models: slots (calls at once), calls (budgets and records) and replies (what was paid
 * for already). A slot is a row with an end: one whose holder died is free again when its time is over.
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

/** What the job's calls have cost so far. */
export async function readLlmSpending(db: Executor, jobId: string): Promise<LlmSpending> {
  const { rows } = await db.orm.execute<{ tokens: string; costUsd: number }>(sql`
    select coalesce(sum(tokens_in + tokens_out), 0) as tokens, coalesce(sum(cost_usd), 0) as "costUsd"
    from llm_calls where job_id = ${jobId}`)
  return { tokens: Number(rows[0]?.tokens), costUsd: rows[0]?.costUsd ?? 0 }
}

/** Notes that a call of the job begins. @param batch of the label stage @returns the call, to be ended */
export async function beginLlmCall(
  db: Executor,
  of: { readonly jobId: string; readonly batch: number },
): Promise<number> {
  const { rows } = await db.orm.execute<{ id: string }>(
    sql`insert into llm_calls (job_id, batch) values (${of.jobId}, ${of.batch}) returning id`,
  )
  return Number(rows[0]?.id)
}

export interface LlmCallEnd {
  readonly outcome: LlmCallOutcome
  readonly latencyMs: number
  readonly tokensIn: number
  readonly tokensOut: number
  readonly costUsd: number
  /** What was read, kept for whoever asks the same again */
  readonly reply?: { readonly requestHash: string; readonly labels: readonly string[] }
}

/** Notes how a call ended, and keeps its reply: both or neither, so that no answer that is counted is asked for again. */
export async function endLlmCall(db: Executor, id: number, end: LlmCallEnd): Promise<void> {
  const { outcome, latencyMs, tokensIn, tokensOut, costUsd, reply } = end
  await db.orm.execute(sql`
    with ended as (
      update llm_calls set outcome = ${outcome}, latency_ms = ${latencyMs}, tokens_in = ${tokensIn}, tokens_out = ${tokensOut},
        cost_usd = ${costUsd} where id = ${id})
    insert into llm_replies (request_hash, reply)
    select ${reply?.requestHash ?? null}::text, ${JSON.stringify(reply?.labels ?? null)}::jsonb where ${reply !== undefined}
    on conflict (request_hash) do update set reply = excluded.reply, used_at = now()`)
}

export interface LlmCall extends Omit<LlmCallEnd, 'outcome' | 'latencyMs' | 'reply'> {
  /** null: broken off by a cancel or the end of its process */
  readonly outcome: LlmCallOutcome | null
  readonly latencyMs: number | null
}

/** Calls that were made for a batch, by whichever process and in whichever delivery, in the order in which they began. */
export async function readLlmCalls(db: Executor, jobId: string, batch: number): Promise<LlmCall[]> {
  return db.orm
    .select({
      outcome: llmCalls.outcome,
      latencyMs: llmCalls.latencyMs,
      tokensIn: llmCalls.tokensIn,
      tokensOut: llmCalls.tokensOut,
      costUsd: llmCalls.costUsd,
    })
    .from(llmCalls)
    .where(and(eq(llmCalls.jobId, jobId), eq(llmCalls.batch, batch)))
    .orderBy(asc(llmCalls.id))
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
