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
} from 'drizzle-orm/pg-core'
import { bytea } from './columns.ts'
import { jobs } from './jobs.ts'

/** Clusters of a job in all layers; layer 0 is the finest. Numbers run over the whole job. Never changed once stored. */
export const clusters = pgTable(
  'clusters',
  {
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    no: integer().notNull(),
    layer: integer().notNull(),
    /** Cluster of the next coarser layer that holds this one */
    parentNo: integer('parent_no'),
    /** Whether this is the layer that the record's cluster_count speaks of */
    chosen: boolean().notNull(),
    size: integer().notNull(),
    strength: real().notNull(),
    /** float32 little-endian, unit length, in the space of the embeddings */
    centroid: bytea().notNull(),
    /** Similarity to the centroid at which a new page may join without a run */
    joinThreshold: real('join_threshold').notNull(),
    /** The same topic has the same lineage from run to run */
    lineageId: text('lineage_id').notNull(),
    lineageEvent: text('lineage_event').$type<'continued' | 'born' | 'split' | 'merged'>().notNull(),
    /** Lineages of the previous run that this one came from */
    lineageFrom: jsonb('lineage_from').$type<string[]>().notNull().default([]),
    /** Candidate phrases with their class-based TF-IDF, best first */
    keyphrases: jsonb().$type<unknown>(),
    /** What the labeller proposed, before it was matched with the vocabulary */
    proposals: jsonb().$type<unknown>(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.no] }), index('clusters_layer').on(t.jobId, t.layer)],
)

/** A page's cluster in each layer. Pages outside every cluster of a layer have no row there. */
export const clusterMembers = pgTable(
  'cluster_members',
  {
    jobId: text('job_id').notNull(),
    layer: integer().notNull(),
    pageId: bigint('page_id', { mode: 'number' }).notNull(),
    clusterNo: integer('cluster_no').notNull(),
    strength: real().notNull(),
    /** Outside by density, but similar enough to be attached by the second pass */
    attached: boolean().notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.jobId, t.layer, t.pageId] }),
    index('cluster_members_cluster').on(t.jobId, t.clusterNo),
  ],
)

/**
 * The communities that layers were made of, which the wiki's next run goes on from. Pages and communities are as many, ascending by page;
 * only the last runs of a wiki have them.
 */
export const foundLayers = pgTable(
  'found_layers',
  {
    jobId: text('job_id')
      .notNull()
      .references(() => jobs.id, { onDelete: 'cascade' }),
    /** Distance from the chosen layer, finer ones below 0 */
    fromChosen: integer('from_chosen').notNull(),
    resolution: doublePrecision().notNull(),
    /** Page ids, float64 little-endian */
    pages: bytea().notNull(),
    /** int32 little-endian */
    communities: bytea().notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.fromChosen] })],
)

/** Figures of a job's clustering as a whole: layers, silhouettes, churn, died lineages. */
export const clusterings = pgTable('clusterings', {
  jobId: text('job_id')
    .primaryKey()
    .references(() => jobs.id, { onDelete: 'cascade' }),
  figures: jsonb().$type<Record<string, unknown>>().notNull(),
})
