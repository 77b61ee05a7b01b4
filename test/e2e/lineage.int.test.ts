import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunRecord } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { realWiki, type WikiPage } from './real-wikis.ts'

/*
 * Topics of a real wiki over three runs: the same pages again, then thirty that say something else and twenty new ones.
 * LINEAGE_WIKI=path runs the same on that folder or .ndjson file too.
 */

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

/** Twenty pages on what no page of the wikis is about. */
const newTopic = Array.from({ length: 20 }, (_, i): WikiPage => {
  const words = 'telescope galaxy nebula eclipse comet orbit planet asteroid supernova quasar'.split(' ')
  const word = (k: number) => words[(i * 3 + k) % words.length]!
  const text = `Astronomers saw a ${word(0)} near the ${word(1)}. The ${word(2)} and the ${word(3)} of a star light the ${word(4)}.`
  return { id: `Astronomy/${i}`, title: `Astronomy: ${word(5)} and ${word(6)}`, text }
})

interface Member {
  readonly id: string
  readonly lineage: string
  readonly event: string
}

interface Run {
  readonly jobId: string
  readonly record: RunRecord
  /** Of the chosen layer, pages outside left out */
  readonly members: readonly Member[]
  /** Layers with their clusters, finest first */
  readonly layers: readonly number[]
}

async function run(wiki: string, pages: readonly WikiPage[]): Promise<Run> {
  const path = join(folder, 'wiki.ndjson')
  writeFileSync(path, `${pages.map((page) => JSON.stringify(page)).join('\n')}\n`)
  const { job } = await system.tag(path, wiki)
  expect(job).toMatchObject({ status: 'completed', failure: null })
  const record = await vi.waitUntil(async () => {
    const { body } = await system.call('GET', `/jobs/${job.id}/metrics`)
    return body.live === false ? (body.record as RunRecord) : undefined
  }, 30_000)
  const { rows: members } = await db.pool.query<Member>(
    `select p.external_id as id, c.lineage_id as lineage, c.lineage_event as event from clusters c
       join cluster_members m on m.job_id = c.job_id and m.cluster_no = c.no join pages p on p.id = m.page_id
     where c.job_id = $1 and c.chosen order by p.id`,
    [job.id],
  )
  const { rows: layers } = await db.pool.query<{ clusters: number }>(
    'select count(*)::int as clusters from clusters where job_id = $1 group by layer order by layer',
    [job.id],
  )
  return { jobId: job.id, record, members, layers: layers.map((row) => row.clusters) }
}

/** Thirty pages of the largest topics say what pages of the smaller ones say: titles and texts of two of them that stand together. */
function changeThirty(pages: readonly WikiPage[], { members }: Run): { changed: WikiPage[]; ids: Set<string> } {
  const topics = [...Map.groupBy(members, (member) => member.lineage).values()].sort((a, b) => b.length - a.length)
  const half = Math.ceil(topics.length / 2)
  const from = topics.slice(0, half).flat().slice(0, 30)
  const sources = topics.slice(half).flat()
  const byId = new Map(pages.map((page) => [page.id, page]))
  const said = new Map(
    from.map(({ id }, i) => {
      const title = byId.get(sources[i % sources.length]!.id)!.title
      const text = byId.get(sources[(i + 1) % sources.length]!.id)!.text
      return [id, { id, title, text }] as const
    }),
  )
  return { changed: pages.map((page) => said.get(page.id) ?? page), ids: new Set(said.keys()) }
}

/** Pages of both runs whose topic is another, or that have one in one of the runs only. */
function movedPages(before: Run, now: Run, pages: readonly WikiPage[]): string[] {
  const of = (one: Run) => new Map(one.members.map((member) => [member.id, member.lineage]))
  const [was, is] = [of(before), of(now)]
  return pages.filter(({ id }) => was.get(id) !== is.get(id)).map(({ id }) => id)
}

const eventsOf = ({ clustering: c }: RunRecord) => ({
  continued: c.clusters_continued!,
  born: c.clusters_born!,
  split: c.clusters_split!,
  merged: c.clusters_merged!,
  died: c.clusters_died!,
})

const wikis: Record<string, string | undefined> = { 'the documentation of the installed packages': undefined }
if (process.env.LINEAGE_WIKI) wikis[process.env.LINEAGE_WIKI] = process.env.LINEAGE_WIKI

describe.each(Object.entries(wikis))('the topics of %s', (name, path) => {
  let pages: WikiPage[]
  let first: Run
  let second: Run
  beforeAll(async () => {
    pages = await realWiki(path)
    first = await run(name, pages)
  }, 240_000)

  test('are nested layers, all born in the first run', () => {
    const { quality, clustering } = first.record
    expect(first.layers.length).toBeGreaterThanOrEqual(2)
    expect(first.layers).toEqual(first.layers.toSorted((a, b) => b - a))
    expect(quality.cluster_count).toBeGreaterThanOrEqual(4)
    expect(eventsOf(first.record)).toEqual({ continued: 0, born: quality.cluster_count, split: 0, merged: 0, died: 0 })
    expect(clustering).toMatchObject({ churn_percentage: null, gold_ami: null, seed_stability_ari: null })
    expect(clustering.outlier_percentage_before_attaching).toBeGreaterThanOrEqual(quality.outlier_percentage!)
  })

  test('all continue in a second run on the same pages, with 0 churn', async () => {
    second = await run(name, pages)
    const { cluster_count } = first.record.quality
    expect(eventsOf(second.record)).toEqual({ continued: cluster_count, born: 0, split: 0, merged: 0, died: 0 })
    expect(second.record.clustering.churn_percentage).toBe(0)
    expect(second.members.map(({ id, lineage }) => [id, lineage])).toEqual(
      first.members.map(({ id, lineage }) => [id, lineage]),
    )
  }, 180_000)

  test('go on where thirty pages changed and twenty are new: a birth, and the churn of what moved', async () => {
    const { changed, ids } = changeThirty(pages, second)
    const third = await run(name, [...changed, ...newTopic])
    const { continued, born, split, merged, died } = eventsOf(third.record)
    const before = second.record.quality.cluster_count!
    const moved = movedPages(second, third, pages)
    const churn = third.record.clustering.churn_percentage!
    console.log(
      JSON.stringify({
        wiki: name,
        pages: pages.length,
        layers: third.layers,
        before,
        continued,
        born,
        split,
        merged,
        died,
        churn,
        moved: moved.length,
        movedOfChanged: moved.filter((id) => ids.has(id)).length,
      }),
    )
    expect(churn).toBeCloseTo((100 * moved.length) / pages.length, 6)
    expect(continued + born + split + merged).toBe(third.record.quality.cluster_count)
    expect(continued + merged + died).toBeLessThanOrEqual(before)
    // Nearly all topics go on, most of the pages that changed moved, and of the others a smaller share than changed or came.
    expect(continued + merged).toBeGreaterThanOrEqual(0.8 * before)
    const movedOf = moved.filter((id) => ids.has(id)).length / ids.size
    const movedOfOthers = moved.filter((id) => !ids.has(id)).length / (pages.length - ids.size)
    expect(movedOf).toBeGreaterThan(0.5)
    expect(movedOfOthers).toBeLessThan((ids.size + newTopic.length) / pages.length)

    const astronomy = third.members.filter(({ id }) => id.startsWith('Astronomy/'))
    expect(astronomy.length).toBeGreaterThanOrEqual(16)
    const topics = [...Map.groupBy(astronomy, (member) => member.lineage).values()].sort((a, b) => b.length - a.length)
    expect(topics[0]!.length).toBeGreaterThanOrEqual(16)
    expect(topics[0]![0]!.event).toBe('born')
    expect(second.members.some((member) => member.lineage === topics[0]![0]!.lineage)).toBe(false)
  }, 180_000)
})
