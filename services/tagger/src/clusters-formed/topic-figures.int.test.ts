import { createJob, storeClustering, storePages } from '@tagloom/database'
import { createTestWiki, openTestDatabase } from '@tagloom/database/testing'
import { runInWorker } from '@tagloom/service-kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CountInput, CountResult, TopicFigures } from './phrases.ts'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const filler = (pages: number) => Array.from({ length: pages }, (_, k) => ({ text: `Granite. Basalt. Quarry${k}.` }))

interface Document {
  readonly text: string
  readonly cluster?: number
}

/** The figures of a wiki of these pages, stored in their order. */
async function figuresOf(documents: readonly Document[]): Promise<TopicFigures> {
  const wikiId = await createTestWiki(db)
  const pages = documents.map(({ text }, k) => ({
    externalId: `p${k}`,
    title: '',
    text,
    goldLabel: null,
    tags: [],
  }))
  for (let from = 0; from < pages.length; from += 1000) await storePages(db, wikiId, pages.slice(from, from + 1000))
  const clusters = [...new Set(documents.flatMap(({ cluster }) => cluster ?? []))].sort()
  const job = (await db.transaction((tx) => createJob(tx, { wikiId, options: {} })))!
  await db.pool.query('insert into job_pages select $1, id, content_hash from pages where wiki_id = $2', [
    job.id,
    wikiId,
  ])
  const ids = await db.pool.query<{ id: string }>('select id from pages where wiki_id = $1 order by id', [wikiId])
  const members = documents.flatMap(({ cluster }, k) =>
    cluster === undefined
      ? []
      : { layer: 0, pageId: Number(ids.rows[k]!.id), clusterNo: cluster, strength: 1, attached: false },
  )
  await db.transaction((tx) =>
    storeClustering(tx, job.id, {
      clusters: clusters.map((no) => ({
        no,
        layer: 0,
        parentNo: null,
        chosen: true,
        size: members.filter(({ clusterNo }) => clusterNo === no).length,
        strength: 1,
        centroid: Float32Array.of(1),
        joinThreshold: 0.5,
        lineageId: `${job.id}-${no}`,
        lineageEvent: 'born',
        lineageFrom: [],
      })),
      members,
      found: { pageIds: new Float64Array(), layers: [] },
      figures: {},
    }),
  )
  const input: CountInput = {
    databaseUrl: db.url,
    jobId: job.id,
    clusters: clusters.map((no) => ({ no, layer: 0, chosen: true })),
    vocabularyForms: [],
  }
  const url = new URL('./count-phrases-worker.ts', import.meta.url)
  const { topics } = await runInWorker<CountResult>(url, { input, signal: new AbortController().signal })
  return topics
}

/** NPMI as Bouma wrote it, from probabilities. */
function npmi(pages: number, a: number, b: number, both: number): number {
  if (both === 0) return -1
  return Math.log(both / pages / ((a / pages) * (b / pages))) / -Math.log(both / pages)
}

describe('topic figures of a job', () => {
  it('are what is worked out by hand', async () => {
    const documents = [
      { text: 'Sourdough. Yeast.', cluster: 0 },
      { text: 'Sourdough. Yeast.', cluster: 0 },
      { text: 'Sourdough. Oven.', cluster: 0 },
      { text: 'Yeast. Oven.', cluster: 0 },
      { text: 'Galaxy. Nebula.', cluster: 1 },
      { text: 'Galaxy. Nebula.', cluster: 1 },
      { text: 'Galaxy. Nebula.', cluster: 1 },
      ...filler(3),
    ]
    // sourdough in 3 of 10 pages, yeast in 3, oven in 2; galaxy and nebula are never apart.
    const bread = [npmi(10, 3, 3, 2), npmi(10, 3, 2, 1), npmi(10, 3, 2, 1)]
    const figures = await figuresOf(documents)
    expect(figures.npmi).toBeCloseTo((bread.reduce((a, b) => a + b) / 3 + 1) / 2, 12)
    expect(figures.diversity).toBe(1)
  })

  it('count the pages at the end of a large wiki like those at its beginning', async () => {
    const topic = [
      { text: 'Sourdough. Yeast.', cluster: 0 },
      { text: 'Sourdough. Yeast.', cluster: 0 },
      { text: 'Sourdough. Yeast. Oven.', cluster: 0 },
      { text: 'Sourdough. Oven.', cluster: 0 },
    ]
    const pages = 10_404
    const expected = [npmi(pages, 4, 3, 3), npmi(pages, 4, 2, 2), npmi(pages, 3, 2, 1)]
    const figures = await figuresOf([...filler(pages - 4), ...topic])
    expect(figures.npmi).toBeCloseTo(expected.reduce((a, b) => a + b) / 3, 12)
  })

  it('of one cluster of the same document are 1, and without clusters there are none', async () => {
    const same = Array.from({ length: 5 }, () => ({ text: 'Sourdough. Yeast. Oven.', cluster: 0 }))
    expect(await figuresOf(same)).toEqual({ npmi: 1, diversity: 1 })
    expect(await figuresOf([{ text: 'Sourdough. Yeast. Oven.' }])).toEqual({ npmi: null, diversity: null })
  })
})
