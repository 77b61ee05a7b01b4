import type { JobOptions, JobStatus, Stage } from '@tagloom/contracts'
import { sql } from 'drizzle-orm'
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { createdAt, instant } from './columns.ts'
import { wikis } from './wikis.ts'

export const jobs = pgTable(
  'jobs',
  {
    /** cluster_wiki_<wiki>_<random> */
    id: text().primaryKey(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    status: text().$type<JobStatus>().notNull(),
    /** Every option, defaults filled in */
    options: jsonb().$type<JobOptions>().notNull(),
    dryRun: boolean('dry_run').notNull().default(false),
    idempotencyKey: text('idempotency_key'),
    /** Hash of the request that first used the key */
    requestHash: text('request_hash'),
    requestedBy: integer('requested_by'),
    requestId: text('request_id'),
    traceparent: text(),
    /** 1 at first, one more with each retry */
    attempt: integer().notNull().default(1),
    errorCode: text('error_code'),
    errorReason: text('error_reason'),
    /** Embedding model, known once the embed stage is planned */
    model: text(),
    /** The wiki's current job when this one began: what its clusters are matched with */
    previousJobId: text('previous_job_id'),
    /** Figures of the finished run: pages_processed, pages_tagged, tags_applied, … */
    summary: jsonb().$type<Record<string, number>>(),
    createdAt: createdAt(),
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
  },
  (t) => [
    index('jobs_wiki').on(t.wikiId, t.createdAt.desc().nullsFirst()),
    uniqueIndex('jobs_idempotency').on(t.wikiId, t.idempotencyKey),
    index('jobs_open').on(t.status).where(sql`status in ('queued', 'running')`),
    uniqueIndex('jobs_one_running').on(t.wikiId).where(sql`status = 'running'`),
  ],
)

/** The pages of a job as they were when it began: what it counts, clusters and tags. */
export const jobPages = pgTable(
  'job_pages',
  {
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    pageId: bigint('page_id', { mode: 'number' }).notNull(),
    contentHash: text('content_hash').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.pageId] })],
)

export const jobStages = pgTable(
  'job_stages',
  {
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    stage: text().$type<Stage>().notNull(),
    done: integer().notNull().default(0),
    total: integer().notNull(),
    startedAt: instant('started_at').notNull().defaultNow(),
    /** Last time that anything of the stage moved, for the watchdog */
    progressedAt: instant('progressed_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.stage] })],
)

export const jobBatches = pgTable(
  'job_batches',
  {
    jobId: text('job_id').notNull(),
    stage: text().$type<Stage>().notNull(),
    no: integer().notNull(),
    /** What is in the batch: ids, never text */
    payload: jsonb().$type<unknown>().notNull(),
    /** What finishing it counted */
    result: jsonb().$type<Record<string, number>>(),
    doneAt: instant('done_at'),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.stage, t.no] })],
)

/** Messages whose effects are committed: a second delivery finds its row and does nothing. */
export const inbox = pgTable(
  'inbox',
  {
    consumer: text().notNull(),
    messageId: text('message_id').notNull(),
    handledAt: instant('handled_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.consumer, t.messageId] }), index('inbox_age').on(t.handledAt)],
)

/** Messages that a committed transaction owes the bus. A row goes when it is published. */
export const outbox = pgTable('outbox', {
  id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  subject: text().notNull(),
  messageId: text('message_id').notNull(),
  body: text().notNull(),
  createdAt: createdAt(),
})
