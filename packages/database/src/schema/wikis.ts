import { bigint, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core'
import { bytea, createdAt, instant } from './columns.ts'

export const wikis = pgTable(
  'wikis',
  {
    id: integer().primaryKey().generatedAlwaysAsIdentity(),
    name: text().notNull(),
    /** The run that readers see. Only completing a job, or an undo, moves it. No foreign key: jobs point here. */
    currentJobId: text('current_job_id'),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex('wikis_name').on(t.name)],
)

export const pages = pgTable(
  'pages',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    wikiId: integer('wiki_id')
      .notNull()
      .references(() => wikis.id, { onDelete: 'cascade' }),
    externalId: text('external_id').notNull(),
    title: text().notNull(),
    text: text().notNull(),
    /** sha-256 of title and text, hex */
    contentHash: text('content_hash').notNull(),
    /** Known class of the page, for evaluation only */
    goldLabel: text('gold_label'),
    createdAt: createdAt(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (t) => [uniqueIndex('pages_external').on(t.wikiId, t.externalId), index('pages_wiki').on(t.wikiId, t.id)],
)

/** One vector a page and model: changing the model never mixes. */
export const pageEmbeddings = pgTable(
  'page_embeddings',
  {
    pageId: bigint('page_id', { mode: 'number' })
      .notNull()
      .references(() => pages.id, { onDelete: 'cascade' }),
    model: text().notNull(),
    /** Hash of the content that was embedded; differs from the page's when that changed since */
    contentHash: text('content_hash').notNull(),
    dims: integer().notNull(),
    tokens: integer().notNull(),
    /** float32 little-endian, dims values; null when the page has no text to embed */
    vector: bytea(),
  },
  (t) => [primaryKey({ columns: [t.pageId, t.model] })],
)

export const apiKeys = pgTable(
  'api_keys',
  {
    id: integer().primaryKey().generatedAlwaysAsIdentity(),
    name: text().notNull(),
    /** sha-256 of the key, hex: keys are 256 random bits, so no slow hash is needed */
    hash: text().notNull(),
    scopes: jsonb().$type<('read' | 'write' | 'admin')[]>().notNull(),
    /** Wikis that the key may touch; null: all */
    wikiIds: jsonb('wiki_ids').$type<number[]>(),
    createdAt: createdAt(),
    revokedAt: instant('revoked_at'),
  },
  (t) => [uniqueIndex('api_keys_hash').on(t.hash)],
)
