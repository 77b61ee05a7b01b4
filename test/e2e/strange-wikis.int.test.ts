import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunRecord } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem, wikiAt } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

/** Small and strange wikis, each through the whole pipeline. All are asked for at once, as a busy day would. */

interface Page {
  readonly id: string
  readonly title: string
  readonly text: string
}

const subjects = [
  'sourdough starter flour hydration oven crust',
  'telescope galaxy nebula eclipse comet orbit',
  'income tax deduction audit allowance authority',
  'rudder keel harbour anchor mainsail rigging',
]

/** Page k on one of `topics` subjects, different from every other. */
function pageOn(k: number, topics: number): Page {
  const words = subjects[k % topics]!.split(' ')
  const word = (i: number) => words[(Math.floor(k / topics) * (i + 1) + i) % words.length]!
  const text = `Here is ${word(0)} with ${word(1)}, then ${word(2)} and number ${k}; also ${word(4)}.`
  return { id: `p${k}`, title: `On ${word(0)} and ${word(3)}`, text }
}

const pagesOn = (count: number, topics: number) => Array.from({ length: count }, (_, k) => pageOn(k, topics))
const copies = (page: Page, count: number, name: string) =>
  Array.from({ length: count }, (_, i) => ({ ...page, id: `${name} ${i}` }))

const wikis: Record<string, Page[]> = {
  'one page': pagesOn(1, 1),
  'two pages': pagesOn(2, 1),
  'five pages': pagesOn(5, 2),
  'ten pages': pagesOn(10, 2),
  'pages without text': pagesOn(3, 1).map((page) => ({ ...page, title: '', text: '' })),
  '500 identical pages': copies(pageOn(0, 1), 500, 'same'),
  'two far groups': pagesOn(80, 2),
  'duplicates by the hundred': [
    ...[0, 1, 2].flatMap((k) => copies(pageOn(k, 4), 100, `copy of ${k}`)),
    ...pagesOn(60, 4),
  ],
  'a page of 5 MB': [
    ...pagesOn(12, 2),
    { id: 'long', title: 'Everything about bread', text: 'Flour and water become bread in the oven. '.repeat(125_000) },
  ],
}

let system: TestSystem
let db: Database
const ended = new Map<string, { wikiId: number; jobId: string; status: string; failure: string | null }>()
beforeAll(async () => {
  system = await startTestSystem()
  db = openDatabase({ url: system.databaseUrl, max: 2 })
  await Promise.all(Object.entries(wikis).map(([name, pages]) => tag(name, pages)))
}, 180_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
})

async function tag(name: string, pages: readonly Page[]): Promise<void> {
  const { id: wikiId } = await system.client.wikiNamed(name, AbortSignal.timeout(30_000))
  const lines = pages.map((page) => JSON.stringify(page)).join('\n')
  expect((await system.call('POST', `/wikis/${wikiId}/pages`, lines)).body).toMatchObject({ rejected: 0 })
  await runJob(name, wikiId)
}

async function runJob(name: string, wikiId: number): Promise<void> {
  const { body: requested } = await system.call('POST', `/wikis/${wikiId}/jobs`, {})
  const end = async () => {
    const { body } = await system.call('GET', `/jobs/${requested.id}`)
    return ['completed', 'failed'].includes(body.status) ? body : undefined
  }
  const { status, failure } = await vi.waitUntil(end, { timeout: 120_000, interval: 100 })
  ended.set(name, { wikiId, jobId: requested.id, status, failure: failure?.reason ?? null })
}

async function recordOf(name: string): Promise<RunRecord> {
  const { jobId } = ended.get(name)!
  return vi.waitUntil(
    async () => {
      const { body } = await system.call('GET', `/jobs/${jobId}/metrics`)
      return body.live === false ? (body.record as RunRecord) : undefined
    },
    { timeout: 30_000, interval: 100 },
  )
}

/** External ids of the chosen layer's clusters, largest first. */
async function clustersOf(name: string): Promise<string[][]> {
  const { rows } = await db.pool.query<{ ids: string[] }>(
    `select array_agg(p.external_id order by p.id) as ids from clusters c
       join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no join pages p on p.id = m.page_id
     where c.job_id = $1 and c.chosen group by c.no order by count(*) desc`,
    [ended.get(name)!.jobId],
  )
  return rows.map((row) => row.ids)
}

test.each(Object.keys(wikis))('%s: the job completes, and its record counts every page', async (name) => {
  expect(ended.get(name)).toMatchObject({ status: 'completed', failure: null })
  const { quality, coverage, clustering } = await recordOf(name)
  expect(coverage.pages_processed).toBe(wikis[name]!.length)
  const clustered = (quality.avg_cluster_size ?? 0) * quality.cluster_count!
  expect(clustered + quality.outlier_count!).toBeCloseTo(wikis[name]!.length, 6)
  expect(clustering.outlier_percentage_before_attaching).toBeGreaterThanOrEqual(quality.outlier_percentage!)
})

test('a wiki of no pages has no run: the job is refused with what to do', async () => {
  const { id } = await system.client.wikiNamed('nothing', AbortSignal.timeout(10_000))
  const { status, body } = await system.call('POST', `/wikis/${id}/jobs`, {})
  expect(status).toBe(409)
  expect(body).toMatchObject({ code: 'wiki_empty', detail: expect.stringContaining('POST some to') })
})

test('a page whose file can no longer be read is not deleted by the next import of its folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'strange-wiki-'))
  try {
    for (const name of ['bread', 'water', 'salt']) writeFileSync(join(folder, `${name}.md`), `# ${name}`)
    const wikiId = await system.import(await wikiAt(folder))
    const idsNow = async () =>
      (await system.call('GET', `/wikis/${wikiId}/pages`)).body.items.map((page: Page) => page.id)
    writeFileSync(join(folder, 'bread.md'), Buffer.from([0xe9]))
    rmSync(join(folder, 'salt.md'))
    await system.import(await wikiAt(folder))
    expect(await idsNow()).toEqual(['bread.md', 'salt.md', 'water.md'])
    writeFileSync(join(folder, 'bread.md'), '# bread')
    await system.import(await wikiAt(folder))
    expect(await idsNow()).toEqual(['bread.md', 'water.md'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('one page, and pages without text, are outside of everything', async () => {
  for (const name of ['one page', 'pages without text']) {
    const { quality } = await recordOf(name)
    expect(quality, name).toMatchObject({
      cluster_count: 0,
      min_cluster_size: null,
      max_cluster_size: null,
      outlier_percentage: 100,
      silhouette_score: null,
    })
  }
})

test('identical pages are one topic, not fifteen', async () => {
  expect((await clustersOf('500 identical pages')).map((ids) => ids.length)).toEqual([500])
  const { coverage } = await recordOf('500 identical pages')
  expect(coverage.pages_tagged).toBe(500)
})

test('two far groups are two topics, pure', async () => {
  const clusters = await clustersOf('two far groups')
  expect(clusters.length).toBeGreaterThanOrEqual(2)
  for (const ids of clusters) expect(new Set(ids.map((id) => Number(id.slice(1)) % 2)).size).toBe(1)
})

test('copies of a page stay together, and other topics are found beside them', async () => {
  const clusters = await clustersOf('duplicates by the hundred')
  for (const k of [0, 1, 2]) {
    const holding = clusters.filter((ids) => ids.some((id) => id.startsWith(`copy of ${k}`)))
    expect(holding.map((ids) => ids.filter((id) => id.startsWith(`copy of ${k}`)).length)).toEqual([100])
  }
  const others = clusters.filter((ids) => ids.every((id) => Number(id.slice(1)) % 4 === 3))
  expect(others.length).toBeGreaterThanOrEqual(1)
})

describe('a stored vector that is broken', () => {
  const values: Record<string, (dims: number) => Float32Array> = {
    'is all zeros': (dims) => new Float32Array(dims),
    'holds a value that is no finite number': (dims) => new Float32Array(dims).fill(Number.NaN),
  }
  test.each(Object.entries(values))(
    'that %s fails the job by the id of the page, and what to do',
    async (what, make) => {
      const name = 'ten pages'
      const { wikiId } = ended.get(name)!
      const { rows } = await db.pool.query<{ id: string; dims: number; vector: Buffer }>(
        `select p.id, e.dims, e.vector from pages p join page_embeddings e on e.page_id = p.id
       where p.wiki_id = $1 and p.external_id = 'p7'`,
        [wikiId],
      )
      const { id, dims, vector } = rows[0]!
      const store = (bytes: Uint8Array) =>
        db.pool.query('update page_embeddings set vector = $2 where page_id = $1', [id, Buffer.from(bytes)])
      await store(new Uint8Array(make(dims).buffer))
      try {
        await runJob(what, wikiId)
      } finally {
        await store(vector)
      }
      expect(ended.get(what)).toMatchObject({ status: 'failed' })
      expect(ended.get(what)!.failure).toContain(`the vector of page "p7" ${what}: delete the page and import it again`)
    },
    60_000,
  )
})
