import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MetricSample } from '@tagloom/contracts'
import { createTestDatabase } from '@tagloom/local-servers/testing'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator'
import { expect, test } from 'vitest'
import { type Database, migrate, openDatabase, readLlmSpending, revokeDecision } from './index.ts'
import { readSamples } from './metric-samples.ts'

/** Databases of earlier versions with data in them, brought to the current schema. */

/** Runs `test` on a database whose last migration is the one of this number. */
async function withDatabaseAt(last: number, use: (db: Database, upgrade: () => Promise<void>) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'))
  const { url, drop } = await createTestDatabase()
  const db = openDatabase({ url, applicationName: 'test' })
  try {
    cpSync(join(import.meta.dirname, '..', 'migrations'), folder, { recursive: true })
    const journal = join(folder, 'meta', '_journal.json')
    const { entries, ...rest } = JSON.parse(readFileSync(journal, 'utf8')) as { entries: { idx: number }[] }
    writeFileSync(journal, JSON.stringify({ ...rest, entries: entries.filter(({ idx }) => idx <= last) }))
    await runMigrations(drizzle(db.pool), { migrationsFolder: folder })
    await use(db, () => migrate(url))
  } finally {
    await db.close()
    await drop()
    rmSync(folder, { recursive: true })
  }
}

const sample = (job_id: string, stage: MetricSample['stage'], batch: string, second: number): MetricSample => ({
  wiki_id: 7,
  job_id,
  stage,
  batch,
  service: 'tagger',
  started_at: '2026-01-01T00:00:00.000Z',
  ended_at: new Date(Date.UTC(2026, 0, 1, 0, 0, second, 7)).toISOString(),
  duration_seconds: second + 1e-7,
  counters: { pages_embedded: second },
  gauges: { share: 0.1 + 0.2 },
  details: { said: 'tab\tline\nquote " backslash \\ \\N % snowman ☃' },
})

test('samples stored row by row (0008) are read as they were, and records with them, after 0009', async () => {
  await withDatabaseAt(8, async (db, upgrade) => {
    const samples = ['job_a', 'job_b'].flatMap((job) => [
      ...Array.from({ length: 300 }, (_, i) => sample(job, 'embed', `${i}`, i % 60)),
      sample(job, 'embed', 'of two words / and a slash', 61),
      sample(job, 'label', 'Ä\\☃', 62),
    ])
    for (const [i, data] of samples.entries())
      await db.pool.query(
        'insert into metric_samples (job_id, stage, batch, wiki_id, ended_at, data) values ($1, $2, $3, $4, $5, $6)',
        // Some as a client with another JSON writer would have sent them: on several lines
        [data.job_id, data.stage, data.batch, data.wiki_id, data.ended_at, JSON.stringify(data, null, i % 3)],
      )
    await db.pool.query(`
      with w as (insert into wikis (name) values ('kept') returning id),
        j as (insert into jobs (id, wiki_id, status, options) select 'job_a', id, 'completed', '{}' from w returning id, wiki_id)
      insert into clustering_metrics (wiki_id, job_id, dry_run, figures, metrics_json)
        select wiki_id, id, false, '{"cluster_count": 3}', '{"samples": {"received": 302}}' from j`)
    const shown = async () => {
      const columns = 'job_id, stage, batch, wiki_id, ended_at, data'
      return (await db.pool.query(`select ${columns} from metric_samples order by job_id, stage, batch`)).rows
    }
    const records = async () => (await db.pool.query('select * from clustering_metrics')).rows
    const before = { shown: await shown(), records: await records() }
    expect(before.shown).toHaveLength(604)
    await upgrade()
    expect(await shown()).toEqual(before.shown)
    expect(await records()).toEqual(before.records)
    for (const job of ['job_a', 'job_b']) {
      const read = await readSamples(db, job)
      const byKey = (a: MetricSample, b: MetricSample) => (`${a.stage}/${a.batch}` < `${b.stage}/${b.batch}` ? -1 : 1)
      expect(read.toSorted(byKey)).toEqual(samples.filter(({ job_id }) => job_id === job).toSorted(byKey))
    }
  })
})

test('a record that named no versions (0011) has none after 0012, and keeps all else', async () => {
  await withDatabaseAt(11, async (db, upgrade) => {
    const provenance = { options: { seed: 42 }, model: 'm', details: { a: 1 }, config_hash: 'h' }
    await db.pool.query(
      `with w as (insert into wikis (name) values ('kept') returning id),
        j as (insert into jobs (id, wiki_id, status, options) select 'job_a', id, 'completed', '{}' from w returning id, wiki_id)
      insert into clustering_metrics (wiki_id, job_id, dry_run, figures, metrics_json)
        select wiki_id, id, false, '{"cluster_count": 3}', $1 from j`,
      [JSON.stringify({ version: 1, provenance })],
    )
    await upgrade()
    const { rows } = await db.pool.query('select metrics_json from clustering_metrics')
    expect(rows[0].metrics_json).toEqual({
      version: 1,
      provenance: { ...provenance, versions: {}, labeller_model: null },
    })
  })
})

test('what a job had spent on a language model (0012) counts against its budget after 0013', async () => {
  await withDatabaseAt(12, async (db, upgrade) => {
    await db.pool.query(
      `with w as (insert into wikis (name) values ('kept') returning id),
        j as (insert into jobs (id, wiki_id, status, options) select 'job_a', id, 'running', '{}' from w returning id)
      insert into llm_spending (job_id, tokens, cost_usd) select id, 1234, 0.5 from j`,
    )
    await upgrade()
    expect(await readLlmSpending(db, 'job_a')).toEqual({ tokens: 1234, costUsd: 0.5 })
  })
})

test('keys that were called like the pipeline itself (0012) have a name of their own after 0014', async () => {
  await withDatabaseAt(12, async (db, upgrade) => {
    await db.pool.query(`
      insert into api_keys (name, hash, scopes) values ('import', 'a', '["read"]'), ('Tagloom ', 'b', '["read"]'), ('mine', 'c', '["read"]')`)
    await upgrade()
    const { rows } = await db.pool.query('select name from api_keys order by id')
    expect(rows.map(({ name }) => name)).toEqual(['import (key 1)', 'Tagloom  (key 2)', 'mine'])
  })
})

test('tags of 0012 are after 0014 what they were, and what was decided about them is taken back', async () => {
  await withDatabaseAt(12, async (db, upgrade) => {
    await db.pool.query(`
      insert into wikis (name) values ('kept');
      insert into tags (wiki_id, label, normalised, status, source, merged_into, merged_by) values
        (1, 'came', 'came', 'rejected', 'imported', null, null), (1, 'used', 'used', 'approved', 'keyphrases', null, null),
        (1, 'mine', 'mine', 'approved', 'human', null, null), (1, 'found', 'found', 'merged', 'keyphrases', 2, 'ann'),
        (1, 'same', 'same', 'merged', 'keyphrases', 2, 'tagloom');
      insert into tag_decisions (wiki_id, page_id, tag_id, decision, decided_by) values
        (1, null, 1, 'rejected', 'ann'), (1, null, 3, 'approved', 'ann'), (1, null, 4, 'merged', 'ann'), (1, 7, 2, 'added', 'import')`)
    const states = async () =>
      (await db.pool.query('select label, status, merged_into, merged_by from tags order by id')).rows
    const before = await states()
    await upgrade()
    expect(await states()).toEqual(before)
    const { rows } = await db.pool.query<{ id: string }>(
      'select id from tag_decisions where page_id is null order by id',
    )
    expect(rows).toHaveLength(4)
    for (const { id } of rows) await db.transaction((tx) => revokeDecision(tx, 1, Number(id)))
    expect((await states()).map(({ label, status }) => `${label} ${status}`)).toEqual([
      'came approved',
      'used approved',
      'mine proposed',
      'found proposed',
      'same proposed',
    ])
  })
})
