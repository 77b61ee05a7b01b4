/**
 * Which way of turning long pages into vectors finds related pages best.
 *
 *   npm run bench -- page-recipes --pages F.ndjson [--model M] [--only PART_OF_A_NAME]
 *
 * F holds `{"id","title","text","tags"}` lines; two pages are related when they share a tag. For each recipe one JSON
 * line: mean average precision over all pages (the whole wiki ranked by cosine), precision of the ten nearest, cost.
 */
import { parseArgs } from 'node:util'
import { openEmbedder, type PageRecipe } from '@tagloom/inference'
import { readNdjson } from './ground/files.ts'

const lead: PageRecipe = {
  windowTokens: 256,
  bodyWindows: 0,
  titleEverywhere: false,
  outlineWeight: 0,
  leadWeight: 1,
  bodyWeight: 0,
}
const body3: PageRecipe = { ...lead, bodyWindows: 3, bodyWeight: 1 }

const RECIPES: Record<string, PageRecipe> = {
  'title + lead': lead,
  'title + lead of 128 tokens': { ...lead, windowTokens: 128 },
  'lead + 3 body': body3,
  'lead + 3 body, titled': { ...body3, titleEverywhere: true },
  'lead + 3 body, titled, body x 2': { ...body3, titleEverywhere: true, bodyWeight: 2 },
  'outline + lead': { ...lead, outlineWeight: 1 },
  'outline + lead + 3 body': { ...body3, outlineWeight: 1 },
  'outline + lead + 3 body, titled': { ...body3, outlineWeight: 1, titleEverywhere: true },
  'outline/2 + lead + 3 body, titled': { ...body3, outlineWeight: 0.5, titleEverywhere: true },
  'lead + 3 body of 128, titled': { ...body3, windowTokens: 128, titleEverywhere: true },
  'lead + 6 body of 128, titled, x 1.5': {
    ...body3,
    windowTokens: 128,
    bodyWindows: 6,
    bodyWeight: 1.5,
    titleEverywhere: true,
  },
  'outline/2 + lead + 3 body, titled, x 2': {
    ...body3,
    outlineWeight: 0.5,
    titleEverywhere: true,
    bodyWeight: 2,
  },
  'lead + 8 body, titled, x 2': { ...body3, bodyWindows: 8, bodyWeight: 2, titleEverywhere: true },
}

interface LabelledPage {
  title: string
  text: string
  tags?: string[]
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      pages: { type: 'string' },
      model: { type: 'string', default: 'models/all-MiniLM-L6-v2' },
      only: { type: 'string', default: '' },
    },
  })
  if (values.pages === undefined) throw new Error('expected --pages F.ndjson with lines {"id","title","text","tags"}')
  const pages = readNdjson<LabelledPage>(values.pages)
  const related = relatedPages(pages)
  for (const [name, recipe] of Object.entries(RECIPES)) {
    if (!name.includes(values.only)) continue
    const embedder = await openEmbedder({ model: values.model, recipe })
    const started = performance.now()
    const { vectors, stats } = await embedder.embedPages(pages)
    const seconds = (performance.now() - started) / 1000
    await embedder.close()
    const figures = rankingFigures(vectors, embedder.dims, related)
    const tokensPerPage = Math.round(stats.tokens / pages.length)
    console.log(JSON.stringify({ recipe: name, ...figures, tokensPerPage, seconds }))
  }
}

/** For every page the set of pages that share a tag with it. */
function relatedPages(pages: readonly LabelledPage[]): Set<number>[] {
  const holders = new Map<string, number[]>()
  for (const [p, page] of pages.entries()) {
    for (const tag of new Set(page.tags)) holders.set(tag, [...(holders.get(tag) ?? []), p])
  }
  return pages.map((page, p) => {
    const others = new Set((page.tags ?? []).flatMap((tag) => holders.get(tag)!))
    others.delete(p)
    return others
  })
}

function rankingFigures(vectors: Float32Array, dims: number, related: readonly Set<number>[]) {
  let averagePrecision = 0
  let hitsIn10 = 0
  let judged = 0
  for (const [p, wanted] of related.entries()) {
    if (wanted.size === 0) continue
    const own = vectors.subarray(p * dims, (p + 1) * dims)
    const scores = Float64Array.from(related, (_, q) => dot(own, vectors, q * dims))
    const order = related.map((_, q) => q).filter((q) => q !== p)
    order.sort((a, b) => scores[b]! - scores[a]!)
    let hits = 0
    let precision = 0
    for (const [rank, q] of order.entries()) {
      if (!wanted.has(q)) continue
      hits++
      precision += hits / (rank + 1)
      if (rank < 10) hitsIn10++
    }
    averagePrecision += precision / wanted.size
    judged++
  }
  const round = (x: number) => Math.round(x * 10_000) / 10_000
  return {
    meanAveragePrecision: round(averagePrecision / judged),
    precisionAt10: round(hitsIn10 / judged / 10),
    judged,
  }
}

function dot(a: Float32Array, b: Float32Array, offset: number): number {
  let sum = 0
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[offset + d]!
  return sum
}
