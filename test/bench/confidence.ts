/**
 * What the confidence of a cluster's label is worth, held against pages whose class people gave.
 *
 *   npm run bench -- confidence --pages F.ndjson [--pages G.ndjson …] [--names N.tsv …] [--limit N]
 *
 * F has lines {"id","title","text","label"}; a page's label is its class. Embeds and clusters all pages, takes what speaks for each label
 * from every other page, and asks the pages between, which no evidence was taken from, whether the label is right:
 * - keyphrases: the cluster's commonest class is at least three times as common among the pages that say the label as among all;
 * - given (with --names, lines "class⇥name", one file for each --pages): the class of that name is at least three times as common in the
 *   cluster as among all.
 * Prints a JSON line for each with bins of like confidence and the expected calibration error, of the confidence that is shipped and of
 * one whose coefficients a logistic regression finds on the same labels; with several files also of one fitted on the others.
 */
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { openEmbedder, openProducts } from '@tagloom/inference'
import { clusterPages, expectedCalibrationError, labelConfidence } from '@tagloom/kernels'
import { fitConfidence } from './confidence/fit.ts'
import { type GoldPage, type Judged, judgedLabels, type PagesInClusters } from './confidence/judged-labels.ts'
import { countOf, readLines, readNdjson } from './ground/files.ts'

const options = {
  pages: { type: 'string', multiple: true, default: [] as string[] },
  names: { type: 'string', multiple: true, default: [] as string[] },
  limit: { type: 'string' },
  model: { type: 'string', default: 'models/all-MiniLM-L6-v2' },
} as const

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.pages.length === 0) throw new Error('expected --pages F.ndjson with lines {"id","title","text","label"}')
  const limit = values.limit === undefined ? undefined : countOf('limit', values.limit)
  const wikis = values.pages.map((file, at) => ({
    file: basename(file),
    pages: readPages(file, limit),
    names: values.names[at] === undefined ? new Map<string, string>() : readNames(values.names[at]),
  }))
  const embedder = await openEmbedder({ model: values.model, cacheDir: '.tagloom/models' })
  const judged: { file: string; labels: Judged[] }[] = []
  try {
    for (const { file, pages, names } of wikis) {
      const { vectors } = await embedder.embedPages(pages)
      const clustered = await cluster(pages, vectors, embedder.dims)
      judged.push({ file, labels: await judgedLabels(clustered, names, (labels) => embedder.embed(labels)) })
    }
  } finally {
    await embedder.close()
  }
  for (const kind of ['keyphrases', 'given'] as const) {
    const of = judged.map(({ file, labels }) => ({ file, labels: labels.filter((one) => one.kind === kind) }))
    for (const { file, labels } of of) {
      if (labels.length > 0)
        compare(
          { kind, file },
          labels,
          of.flatMap((other) => (other.file === file ? [] : other.labels)),
        )
    }
  }
}

function compare(head: { kind: string; file: string }, own: readonly Judged[], others: readonly Judged[]): void {
  report({ ...head, confidence: 'shipped' }, own, labelConfidence)
  const fitted = fitConfidence(own)
  report({ ...head, confidence: 'fitted here', ...fitted.coefficients }, own, fitted.confidence)
  if (others.length > 0) report({ ...head, confidence: 'fitted on the others' }, own, fitConfidence(others).confidence)
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

function readNames(file: string): Map<string, string> {
  return new Map(
    readLines(file).flatMap((line, at) => {
      if (line.trim() === '') return []
      const [label, name] = line.split('\t')
      if (!label || !name) throw new Error(`${file}:${at + 1}: expected a class, a tab and its name, got "${line}"`)
      return [[label, name]]
    }),
  )
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

const BINS = [0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01]

function report(head: object, judged: readonly Judged[], confidenceOf: (of: Judged['evidence']) => number): void {
  const inBins = Map.groupBy(
    judged.map(({ evidence, right }) => ({ confidence: confidenceOf(evidence), right })),
    ({ confidence }) => BINS.findIndex((end) => confidence < end),
  )
  const bins = [...inBins]
    .sort(([a], [b]) => a - b)
    .map(([, of]) => ({
      count: of.length,
      meanConfidence: of.reduce((sum, { confidence }) => sum + confidence, 0) / of.length,
      hitRate: of.filter(({ right }) => right).length / of.length,
    }))
  const fitting = bins.filter(({ meanConfidence }) => meanConfidence >= 0.5)
  const round = (value: number | null) => value && Math.round(value * 1000) / 1000
  console.log(
    JSON.stringify({
      bench: 'confidence',
      ...head,
      labels: judged.length,
      ece: round(expectedCalibrationError(bins)),
      ece_of_fitting: round(expectedCalibrationError(fitting)),
      bins: bins.map((bin) => [bin.count, round(bin.meanConfidence), round(bin.hitRate)]),
    }),
  )
}
