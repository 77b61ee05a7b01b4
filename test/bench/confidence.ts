/**
 * What the confidence of a cluster's label is worth, held against labels that were read and against pages whose class people gave.
 *
 *   npm run bench -- confidence --read test/bench/confidence/read-labels.tsv
 *   npm run bench -- confidence --pages F.ndjson [--pages G.ndjson …] [--names N.tsv …] [--limit N] [--topic-share 0.5]
 *
 * --read has labels that a reader found to name a topic of their cluster or not, with what spoke for each: see read-labels.ts.
 * F has lines {"id","title","text","label"}; a page's label is its class. Embeds and clusters all pages, takes what speaks for each label
 * from every other page, and asks the pages between, which no evidence was taken from, whether the label is right:
 * - keyphrases, of clusters where one class has half of the pages (--topic-share) and three times its odds everywhere: that class has three
 *   times its odds among the pages that say the label, too. Other clusters are about something that the classes don't tell;
 * - given (with --names, lines "class⇥name", one file for each --pages, "-" for none): the class of that name has three times its odds
 *   in the cluster.
 * Prints a JSON line for each kind, wiki and confidence: `shipped` is labelConfidence; `constant`, `calibrated` (Platt on labelConfidence)
 * and `refitted` (its form) are fitted on all other wikis. A wiki with more than half of its pages in one class is measured, but nothing is
 * fitted on it. The last line of a kind has the shipped confidence on all of them, the fits of all together, and each confidence's mean
 * and worst figures on the wikis that it was not fitted on. With --read and --pages, labels that were read are also held against the
 * calibration that the classes of all wikis give (`calibrated by classes`).
 */
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { type Embedder, openEmbedder, openProducts } from '@tagloom/inference'
import { clusterPages, labelConfidence, type MeaningCosines, meaningCosines, meaningLabels } from '@tagloom/kernels'
import { fitCalibration, fitConfidence, fitConstant, type JudgedWiki } from './confidence/fit.ts'
import { type GoldPage, type Judged, judgedLabels, type PagesInClusters } from './confidence/judged-labels.ts'
import { type Measured, measure } from './confidence/measure.ts'
import { readLabels } from './confidence/read-labels.ts'
import { countOf, readLines, readNdjson } from './ground/files.ts'

const options = {
  pages: { type: 'string', multiple: true, default: [] as string[] },
  names: { type: 'string', multiple: true, default: [] as string[] },
  read: { type: 'string' },
  limit: { type: 'string' },
  'topic-share': { type: 'string', default: '0.5' },
  model: { type: 'string', default: 'models/all-MiniLM-L6-v2' },
} as const

type Given = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

interface Wiki {
  readonly file: string
  readonly labels: readonly Judged[]
  /** Its classes are of use for a fit: none has more than half of its pages */
  readonly fits: boolean
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.read === undefined && values.pages.length === 0)
    throw new Error('expected --read F.tsv, or --pages F.ndjson with lines {"id","title","text","label"}')
  const judged = values.pages.length > 0 ? await judge(values) : []
  for (const kind of ['keyphrases', 'given'] as const) compare(kind, ofKind(judged, kind))
  if (values.read === undefined) return
  const byClasses = ofKind(judged, 'keyphrases').filter(({ fits }) => fits)
  compare(
    'read',
    readLabels(values.read).map((wiki) => ({ ...wiki, fits: true })),
    byClasses.map(({ labels }) => labels),
  )
}

/** Without the wikis that have none. */
const ofKind = (wikis: readonly Wiki[], kind: Judged['kind']): Wiki[] =>
  wikis
    .map((wiki) => ({ ...wiki, labels: wiki.labels.filter((one) => one.kind === kind) }))
    .filter(({ labels }) => labels.length > 0)

async function judge(values: Given): Promise<Wiki[]> {
  const limit = values.limit === undefined ? undefined : countOf('limit', values.limit)
  const topicShare = Number(values['topic-share'])
  if (!(topicShare >= 0 && topicShare <= 1))
    throw new Error(`--topic-share: expected 0 to 1, got "${values['topic-share']}"`)
  const given = values.pages.map((file, at) => ({
    file: basename(file),
    pages: readPages(file, limit),
    names: readNames(values.names[at] ?? '-'),
  }))
  const embedder = await openEmbedder({ model: values.model, cacheDir: '.tagloom/models' })
  const wikis: Wiki[] = []
  try {
    const meaning = await meaningOf(embedder)
    for (const { file, pages, names } of given) {
      const { vectors } = await embedder.embedPages(pages)
      const clustered = await cluster(pages, vectors, embedder.dims)
      const labels = await judgedLabels(clustered, { names, topicShare, meaning }, (texts) => embedder.embed(texts))
      wikis.push({ file, labels, fits: largestShare(pages) <= 0.5 })
    }
  } finally {
    await embedder.close()
  }
  return wikis
}

const fits = { constant: fitConstant, calibrated: fitCalibration, refitted: fitConfidence } as const
type Confidence = 'shipped' | 'calibrated by classes' | keyof typeof fits

/** @param byClasses keyphrases that classes judged: what is fitted on them is held against `wikis` too */
function compare(kind: Judged['kind'] | 'read', wikis: readonly Wiki[], byClasses: readonly JudgedWiki[] = []): void {
  const fitting = wikis.filter(({ fits }) => fits)
  const heldOut = new Map<Confidence, Measured[]>()
  const report = (wiki: Wiki, confidence: Confidence, measured: Measured) => {
    console.log(JSON.stringify({ bench: 'confidence', kind, file: wiki.file, confidence, ...measured }))
    if (wiki.fits) heldOut.set(confidence, [...(heldOut.get(confidence) ?? []), measured])
  }
  for (const wiki of wikis) {
    report(wiki, 'shipped', measure(wiki.labels, labelConfidence))
    if (byClasses.length > 0)
      report(wiki, 'calibrated by classes', measure(wiki.labels, fitCalibration(byClasses).confidence))
    const others: JudgedWiki[] = fitting.filter((other) => other !== wiki).map(({ labels }) => labels)
    if (others.length === 0) continue
    for (const name of ['constant', 'calibrated', 'refitted'] as const)
      report(wiki, name, measure(wiki.labels, fits[name](others).confidence))
  }
  if (fitting.length < 2) return
  const all = fitting.map(({ labels }) => labels)
  const coefficients = Object.assign({}, ...Object.values(fits).map((fit) => fit(all).coefficients))
  const on_left_out = Object.fromEntries([...heldOut].map(([confidence, of]) => [confidence, summary(of)]))
  const shipped = measure(all.flat(), labelConfidence)
  console.log(
    JSON.stringify({ bench: 'confidence', kind, wikis: fitting.length, shipped, ...coefficients, on_left_out }),
  )
}

/** Mean and worst over wikis. */
function summary(of: readonly Measured[]): object {
  const mean = (values: readonly (number | null)[]) =>
    Math.round((values.reduce<number>((sum, value) => sum + (value ?? 0), 0) / values.length) * 1000) / 1000
  const ece = of.map((one) => one.ece ?? 0)
  return {
    ece: mean(ece),
    worst_ece: Math.max(...ece),
    ece_of_fitting: mean(of.map((one) => one.ece_of_fitting)),
    brier: mean(of.map((one) => one.brier)),
    auc: mean(of.map((one) => one.auc)),
  }
}

function largestShare(pages: readonly GoldPage[]): number {
  const counts = [...Map.groupBy(pages, ({ label }) => label).values()].map(({ length }) => length)
  return Math.max(...counts) / pages.length
}

/** All, or `limit` of them spread evenly. */
function readPages(file: string, limit: number | undefined): GoldPage[] {
  const all = readNdjson<Partial<GoldPage>>(file).map(({ title = '', text = '', label = '' }) => ({
    title,
    text,
    label,
  }))
  if (!all.some(({ label }) => label !== '')) throw new Error(`${file}: expected lines with a "label", none has one`)
  const step = Math.max(1, all.length / (limit ?? all.length))
  return Array.from({ length: Math.min(all.length, limit ?? all.length) }, (_, at) => all[Math.floor(at * step)]!)
}

/** By class; none of "-". */
function readNames(file: string): Map<string, string> {
  if (file === '-') return new Map()
  return new Map(
    readLines(file).flatMap((line, at) => {
      if (line.trim() === '') return []
      const [label, name] = line.split('\t')
      if (!label || !name) throw new Error(`${file}:${at + 1}: expected a class, a tab and its name, got "${line}"`)
      return [[label, name]]
    }),
  )
}

async function meaningOf(embedder: Embedder): Promise<MeaningCosines> {
  const vectors = await embedder.embed(meaningLabels)
  return meaningCosines((label) => {
    const row = meaningLabels.indexOf(label)
    return vectors.subarray(row * embedder.dims, (row + 1) * embedder.dims)
  })
}

async function cluster(pages: readonly GoldPage[], vectors: Float32Array, dims: number): Promise<PagesInClusters> {
  const rows = [...pages.keys()].filter((row) => vectors[row * dims] !== 0 || vectors[row * dims + 1] !== 0)
  const own = new Float32Array(rows.length * dims)
  rows.forEach((row, at) => {
    own.set(vectors.subarray(row * dims, (row + 1) * dims), at * dims)
  })
  const products = await openProducts({ device: 'cpu' })
  const { layers } = await clusterPages(own, dims, {}, products)
  await products.close()
  return { pages: rows.map((row) => pages[row]!), layers, dims }
}
