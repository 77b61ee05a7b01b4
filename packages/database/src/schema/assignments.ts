import { bigint, index, integer, pgTable, primaryKey, real, text } from 'drizzle-orm/pg-core'
import { createdAt, instant } from './columns.ts'
import { jobs } from './jobs.ts'
import { pages, wikis } from './wikis.ts'

/** Requests to give pages to the topics of a run, without a new one. */
export const assignments = pgTable(
  'assignments',
  {
    /** assign_wiki_<wiki>_<random> */
    id: text().primaryKey(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    /** The run that was current when it was asked for */
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    status: text().$type<'waiting' | 'completed' | 'failed'>().notNull(),
    failure: text(),
    /** New or changed pages that were too many for it */
    leftForLater: integer('left_for_later').notNull(),
    createdAt: createdAt(),
    endedAt: instant('ended_at'),
  },
  (t) => [index('assignments_wiki').on(t.wikiId, t.createdAt), index('assignments_job').on(t.jobId)],
)

/** The pages of an assignment, and what came of each; the last three columns are null while it waits. */
export const assignedPages = pgTable(
  'assigned_pages',
  {
    assignmentId: text('assignment_id')
      .notNull()
      .references(() => assignments.id, { onDelete: 'cascade' }),
    pageId: bigint('page_id', { mode: 'number' })
      .notNull()
      .references(() => pages.id, { onDelete: 'cascade' }),
    outcome: text().$type<'waiting' | 'assigned' | 'left_out' | 'without_text'>().notNull().default('waiting'),
    clusterNo: integer('cluster_no'),
    similarity: real(),
    /** Of the text that the vector was made of */
    contentHash: text('content_hash'),
  },
  (t) => [primaryKey({ columns: [t.assignmentId, t.pageId] }), index('assigned_pages_page').on(t.pageId)],
)
