import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  real,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import { bytea, createdAt, instant } from './columns.ts'
import { jobs } from './jobs.ts'
import { wikis } from './wikis.ts'

export type TagStatus = 'proposed' | 'approved' | 'rejected' | 'merged'

/** The wiki's vocabulary. */
export const tags = pgTable(
  'tags',
  {
    id: integer().primaryKey().generatedAlwaysAsIdentity(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    label: text().notNull(),
    /** Case, spelling variants and plurals folded: one tag a form */
    normalised: text().notNull(),
    /** What the decisions about it that stand make of it, see settle-tags */
    status: text().$type<TagStatus>().notNull(),
    /** Its status where there are none: approved where it came with a page or a person gave it to one */
    ownStatus: text('own_status').$type<'proposed' | 'approved'>().notNull().default('proposed'),
    source: text().$type<'imported' | 'human' | 'keyphrases' | 'llm'>().notNull(),
    /** Where a merged tag went in the end: a tag that is not merged itself */
    mergedInto: integer('merged_into'),
    mergedBy: text('merged_by'),
    /** A rule merged it once, by its meaning, letters or form: no rule does so again, whatever people made of that */
    joinedOnce: boolean('joined_once').notNull().default(false),
    /** A broader tag of an upper layer, as a job found it; whether it still stands above it, see tag-parents */
    parentId: integer('parent_id'),
    /** float32 little-endian of the label, by `model` */
    embedding: bytea(),
    model: text(),
    createdByJob: text('created_by_job'),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('tags_form').on(t.wikiId, t.normalised)],
)

/** One row: the version of tagForm that made every `normalised`, see renew-tag-forms. */
export const tagFormVersion = pgTable('tag_form_version', { version: integer().primaryKey() })

export const clusterTags = pgTable(
  'cluster_tags',
  {
    jobId: text('job_id').notNull(),
    clusterNo: integer('cluster_no').notNull(),
    tagId: integer('tag_id').notNull(),
    confidence: real().notNull(),
    method: text().$type<'vocabulary' | 'keyphrases' | 'llm'>().notNull(),
    /** 0 is the cluster's first tag */
    rank: integer().notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.clusterNo, t.tagId] })],
)

/** The approved tags as a job found them when its propagation was planned: every batch compares pages with the same ones. */
export const jobVocabulary = pgTable(
  'job_vocabulary',
  {
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    tagId: integer('tag_id').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.tagId] })],
)

/** Automatic tags of a job. What people decided lives in tag_decisions and overlays every job. */
export const pageTags = pgTable(
  'page_tags',
  {
    jobId: text('job_id').notNull(),
    pageId: bigint('page_id', { mode: 'number' }).notNull(),
    tagId: integer('tag_id').notNull(),
    confidence: real().notNull(),
    /** From the page's cluster, or from its similarity to the tag itself */
    origin: text().$type<'cluster' | 'similarity'>().notNull(),
    clusterNo: integer('cluster_no'),
    batchNo: integer('batch_no').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.pageId, t.tagId] }), index('page_tags_tag').on(t.jobId, t.tagId)],
)

/**
 * What people decided. `locked` without a tag: no automatic tag touches the page. Without a page: about the tag as a whole. All are kept
 * until they are taken back, and of those about one thing the newest counts; an import's, one a page and tag, give way to any of a person.
 */
export const tagDecisions = pgTable(
  'tag_decisions',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    pageId: bigint('page_id', { mode: 'number' }),
    tagId: integer('tag_id'),
    /** Of a merge: the tag that was named */
    intoId: integer('into_id'),
    decision: text().$type<'added' | 'rejected' | 'locked' | 'merged' | 'approved'>().notNull(),
    decidedBy: text('decided_by').notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex('tag_decisions_one')
      .on(t.wikiId, t.pageId, t.tagId)
      .where(sql`page_id is not null and decided_by = 'import'`),
    index('tag_decisions_page').on(t.wikiId, t.pageId, t.tagId).where(sql`page_id is not null`),
    index('tag_decisions_wiki').on(t.wikiId),
    index('tag_decisions_whole').on(t.tagId).where(sql`page_id is null or decided_by <> 'import'`),
    index('tag_decisions_into').on(t.intoId).where(sql`into_id is not null`),
  ],
)

/** LLM replies by the hash of what was asked, so that a retry pays nothing. */
export const llmReplies = pgTable(
  'llm_replies',
  {
    requestHash: text('request_hash').primaryKey(),
    reply: jsonb().$type<unknown>().notNull(),
    usedAt: instant('used_at').notNull().defaultNow(),
  },
  (t) => [index('llm_replies_age').on(t.usedAt)],
)

/** Calls in progress over all replicas: a slot is a row with an end. */
export const llmSlots = pgTable('llm_slots', {
  slot: integer().primaryKey(),
  holder: text().notNull(),
  expiresAt: instant('expires_at').notNull(),
})

/**
 * Calls of language models, over all replicas: what a job's budget is held against and its record counts. The row is there before the call
 * is made, so that none is forgotten with the process that made it.
 */
export const llmCalls = pgTable(
  'llm_calls',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    /** Of the label stage */
    batch: integer().notNull(),
    /** null: in progress, or broken off by a cancel or the end of its process */
    outcome: text().$type<LlmCallOutcome>(),
    latencyMs: doublePrecision('latency_ms'),
    tokensIn: bigint('tokens_in', { mode: 'number' }).notNull().default(0),
    tokensOut: bigint('tokens_out', { mode: 'number' }).notNull().default(0),
    costUsd: doublePrecision('cost_usd').notNull().default(0),
  },
  (t) => [index('llm_calls_batch').on(t.jobId, t.batch)],
)

export type LlmCallOutcome = 'read' | 'unreadable' | 'failed' | 'timed out'
