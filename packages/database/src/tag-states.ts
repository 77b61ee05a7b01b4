import { decidedByImport, decidedByTagloom } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import type { Transaction } from './database.ts'
import type { TagStatus } from './schema/tags.ts'
import { settleTags, type TagToSettle, type WholeTagDecision } from './settle-tags.ts'

interface StoredState extends TagToSettle {
  readonly status: TagStatus
  readonly mergedInto: number | null
  readonly mergedBy: string | null
}

/**
 * Brings these tags, and those that are or were merged with them, to what the decisions that stand make of them. To be called with the
 * vocabulary in hold after every change of decisions about tags as a whole, for all tags that they name.
 */
export async function settleTagStates(tx: Transaction, ids: readonly number[]): Promise<void> {
  const tags = await readMergedTogether(tx, ids)
  const settled = settleTags(tags, await readDecisionsAbout(tx, tags))
  const changed = tags.flatMap((tag) => {
    const state = settled.get(tag.id)!
    const parts = ['status', 'mergedInto', 'mergedBy'] as const
    return parts.every((part) => state[part] === tag[part]) ? [] : [{ id: tag.id, ...state }]
  })
  if (changed.length === 0) return
  const list = <Value>(pick: (tag: (typeof changed)[number]) => Value) => sql.param(changed.map(pick))
  await tx.orm.execute(sql`
    update tags t set status = s.status, merged_into = s.merged_into, merged_by = s.merged_by
    from unnest(${list((t) => t.id)}::int[], ${list((t) => t.status)}::text[], ${list((t) => t.mergedInto)}::int[],
      ${list((t) => t.mergedBy)}::text[]) as s (id, status, merged_into, merged_by)
    where t.id = s.id`)
}

/** The tags with all that any decision ever merged with them, at whatever step: what one is may hang on each of those. */
async function readMergedTogether(tx: Transaction, ids: readonly number[]): Promise<StoredState[]> {
  const { rows } = await tx.orm.execute<StoredState & Record<string, unknown>>(sql`
    with recursive linked (id) as (
      select unnest(${sql.param(ids)}::int[])
      union
      select x.id from linked l cross join lateral (
        select into_id as id from tag_decisions where page_id is null and tag_id = l.id and into_id is not null
        union all select tag_id from tag_decisions where into_id = l.id) x
    )
    select id, own_status as "ownStatus", status, merged_into as "mergedInto", merged_by as "mergedBy"
    from tags where id in (select id from linked) order by id`)
  return rows
}

async function readDecisionsAbout(tx: Transaction, tags: readonly TagToSettle[]): Promise<WholeTagDecision[]> {
  const { rows } = await tx.orm.execute<WholeTagDecision & Record<string, unknown>>(sql`
    select d.tag_id as "tagId", d.decision as kind, d.into_id as "intoId", d.decided_by as "decidedBy",
      d.decided_by = ${decidedByTagloom} as "byRule",
      d.decision = 'rejected' and exists (
        select from tag_decisions a
        where a.tag_id = d.tag_id and a.decision = 'added' and a.decided_by <> ${decidedByImport}
          and (a.created_at, a.id) > (d.created_at, d.id)) as overruled
    from tag_decisions d
    where d.page_id is null and d.tag_id = any(${sql.param(tags.map(({ id }) => id))}::int[])
    order by d.id desc`)
  return rows
}
