import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, openDatabase, readClusteringFigures } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topicWiki } from './topic-wiki.ts'

interface Figures {
  readonly clusters: number
  readonly churn_percentage: number | null
  readonly pages_in_both_runs: number | null
  readonly lineages: {
    readonly continued: number
    readonly born: number
    readonly split: number
    readonly merged: number
    readonly died: readonly string[]
  }
}
type Page = { id: string; title: string; text: string }

let system: TestSystem
let db: Database
const folder = mkdtempSync(join(tmpdir(), 'tagloom-lineage-'))
beforeAll(async () => {
  system = await startTestSystem()
  db = openDatabase({ url: system.databaseUrl, max: 2 })
}, 120_000)
afterAll(async () => {
  await db?.close()
  await system?.stop()
  rmSync(folder, { recursive: true, force: true })
})

function pagesOfTopics(): Page[] {
  const wiki = topicWiki(40)
  const lines = readFileSync(wiki.path, 'utf8').trim().split('\n')
  wiki.remove()
  return lines.map((line) => JSON.parse(line) as Page)
}

/** Twenty pages on what no page of the wiki is about. */
const newTopic = Array.from({ length: 20 }, (_, i): Page => {
  const words = 'telescope galaxy nebula eclipse comet orbit planet asteroid supernova quasar'.split(' ')
  const word = (k: number) => words[(i * 3 + k) % words.length]!
  const text = `Astronomers saw a ${word(0)} near the ${word(1)}. The ${word(2)} and the ${word(3)} of a star light the ${word(4)}.`
  return { id: `Astronomy/${i}`, title: `Astronomy: ${word(5)} and ${word(6)}`, text }
})

async function run(name: string, pages: readonly Page[]): Promise<Figures> {
  const path = join(folder, `${name}.ndjson`)
  writeFileSync(path, `${pages.map((page) => JSON.stringify(page)).join('\n')}\n`)
  const { job } = await system.tag(path, 'lineage')
  expect(job).toMatchObject({ status: 'completed', failure: null })
  return (await readClusteringFigures(db, job.id)) as unknown as Figures
}

test('a second run has no churn; thirty changed and twenty new pages make a birth and a little churn', async () => {
  const pages = pagesOfTopics()
  const first = await run('first', pages)
  expect(first).toMatchObject({ churn_percentage: null, lineages: { born: first.clusters, continued: 0 } })

  const second = await run('second', pages)
  expect(second).toMatchObject({
    clusters: first.clusters,
    churn_percentage: 0,
    pages_in_both_runs: pages.length,
    lineages: { continued: first.clusters, born: 0, split: 0, merged: 0, died: [] },
  })

  // Thirty pages of the first topic now say what pages of the second say.
  const changed = pages.map((page, i) =>
    i < 30 ? { ...page, title: pages[40 + i]!.title, text: pages[41 + i]!.text } : page,
  )
  const third = await run('third', [...changed, ...newTopic])
  const { continued, born, split, merged, died } = third.lineages
  expect(third.pages_in_both_runs).toBe(pages.length)
  expect(born).toBeGreaterThanOrEqual(1)
  expect(continued + merged).toBeGreaterThanOrEqual(4)
  expect(continued + merged + born + split).toBe(third.clusters)
  expect(continued + merged + died.length).toBeGreaterThanOrEqual(first.clusters - 1)
  expect(third.churn_percentage).toBeGreaterThanOrEqual((100 * 20) / pages.length)
  expect(third.churn_percentage).toBeLessThan((100 * 90) / pages.length)
}, 180_000)
