/**
 * Coherence and diversity of the words that name clusters.
 *
 *   npm run bench -- topics --corpus F.tsv [--out F.json] [--vectors V.f32] [--words 10] [--clusters N] [--peer PYTHON]
 *
 * F has one document a line, in the first column. Embeds them (or reads --vectors, float32 [documents × dims] row by row), clusters
 * them as a job does, and prints one JSON line: NPMI (mean over clusters of the mean over all pairs of their words, by documents of the
 * corpus itself) and diversity (share of different words). --out writes the words: a list of lists. --peer runs BERTopic with that
 * Python (topics_peer.py) on the same vectors and scores its words by the same function; --clusters asks both for about N topics.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openEmbedder, openProducts } from '@tagloom/inference'
import {
  clusterPages,
  PhraseCounts,
  topicDiversity,
  topicWords,
  WordDocuments,
  wordRuns,
  wordTest,
} from '@tagloom/kernels'
import { countOf, readLines } from './ground/files.ts'

const options = {
  corpus: { type: 'string' },
  out: { type: 'string' },
  vectors: { type: 'string' },
  words: { type: 'string', default: '10' },
  clusters: { type: 'string' },
  model: { type: 'string', default: 'models/all-MiniLM-L6-v2' },
  peer: { type: 'string' },
} as const

/** Words from which those of a topic are chosen */
const CANDIDATES = 60

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.corpus === undefined)
    throw new Error('expected --corpus F.tsv with one document a line, in the first column')
  const documents = readDocuments(values.corpus)
  const began = performance.now()
  const { vectors, dims } = values.vectors
    ? readVectors(values.vectors, documents.length)
    : await embedAll(documents, values.model)
  const labels = await cluster(
    vectors,
    dims,
    values.clusters === undefined ? undefined : countOf('clusters', values.clusters),
  )
  const words = wordsOfTopics(documents, labels, countOf('words', values.words))
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(words, null, 1)}\n`)
  report('tagloom', documents, words, (performance.now() - began) / 1000)
  if (values.peer !== undefined) runPeer(values.peer, { corpus: values.corpus, vectors, dims, documents, words })
}

function readDocuments(file: string): string[] {
  const lines = readLines(file)
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => line.split('\t')[0] ?? '')
}

function readVectors(file: string, documents: number): { vectors: Float32Array; dims: number } {
  const bytes = readFileSync(file)
  const dims = bytes.byteLength / 4 / documents
  if (!Number.isInteger(dims) || dims === 0) {
    throw new Error(`${file} has ${bytes.byteLength} bytes, expected 4 × dims for each of ${documents} documents`)
  }
  return { vectors: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)), dims }
}

async function embedAll(documents: readonly string[], model: string): Promise<{ vectors: Float32Array; dims: number }> {
  const embedder = await openEmbedder({ model, cacheDir: '.tagloom/models' })
  const { vectors } = await embedder.embedPages(documents.map((text) => ({ title: '', text })))
  await embedder.close()
  return { vectors, dims: embedder.dims }
}

/** Cluster of each document in the chosen layer, −1 outside; documents without text are outside. */
async function cluster(vectors: Float32Array, dims: number, targetClusters: number | undefined): Promise<Int32Array> {
  const rows = Array.from({ length: vectors.length / dims }, (_, row) => row)
  const filled = rows.filter((row) => vectors.subarray(row * dims, (row + 1) * dims).some((value) => value !== 0))
  const own = new Float32Array(filled.length * dims)
  filled.forEach((row, at) => {
    own.set(vectors.subarray(row * dims, (row + 1) * dims), at * dims)
  })
  const products = await openProducts({ device: 'cpu' })
  const found = await clusterPages(own, dims, targetClusters === undefined ? {} : { targetClusters }, products)
  await products.close()
  const labels = new Int32Array(rows.length).fill(-1)
  const layer = found.layers[found.chosen]
  filled.forEach((row, at) => {
    labels[row] = layer?.labels[at] ?? -1
  })
  return labels
}

/** Words as they stand in the corpus, in small letters: what anybody can count again. */
const wordsOf = (text: string): string[] =>
  [...wordRuns(text)].flatMap((run) => run.words.map((word) => word.toLowerCase()))

function wordsOfTopics(documents: readonly string[], labels: Int32Array, count: number): string[][] {
  const topics = Math.max(-1, ...labels) + 1
  const counts = new PhraseCounts(Array.from({ length: topics }, (_, no) => ({ no, layer: 0 })))
  const isWord = wordTest('eng')
  documents.forEach((text, row) => {
    const weights = new Map<string, { weight: number; surface: string; words: number }>()
    for (const word of wordsOf(text)) {
      const known = weights.get(word)
      if (known) known.weight++
      else if (isWord(word)) weights.set(word, { weight: 1, surface: word, words: 1 })
    }
    counts.addPage(weights, labels[row]! < 0 ? [] : [labels[row]!])
  })
  const candidates = Array.from({ length: topics }, (_, no) => counts.words(no, CANDIDATES))
  const wanted = new Set(candidates.flat().map(({ word }) => word))
  return topicWords(candidates, new WordDocuments(documents.map(wordsOf), wanted), count)
}

function report(who: string, documents: readonly string[], topics: readonly string[][], seconds: number): void {
  const together = new WordDocuments(documents.map(wordsOf), new Set(topics.flat()))
  const scored = topics.filter((words) => words.length > 1).map((words) => together.coherence(words))
  const npmi = scored.reduce((sum, value) => sum + value, 0) / scored.length
  const round = (value: number) => Math.round(value * 10_000) / 10_000
  const of = { documents: documents.length, topics: topics.length, seconds: round(seconds) }
  console.log(
    JSON.stringify({ bench: 'topics', who, ...of, npmi: round(npmi), diversity: round(topicDiversity(topics)) }),
  )
}

interface PeerInput {
  readonly corpus: string
  readonly vectors: Float32Array
  readonly dims: number
  readonly documents: readonly string[]
  readonly words: readonly string[][]
}

function runPeer(python: string, of: PeerInput): void {
  const folder = mkdtempSync(join(tmpdir(), 'tagloom-topics-'))
  const script = fileURLToPath(new URL('topics_peer.py', import.meta.url))
  try {
    const file = join(folder, 'vectors.f32')
    const out = join(folder, 'topics.json')
    writeFileSync(file, new Uint8Array(of.vectors.buffer, of.vectors.byteOffset, of.vectors.byteLength))
    for (const topics of ['auto', String(of.words.length)]) {
      const began = performance.now()
      const ran = spawnSync(python, [script, of.corpus, file, String(of.dims), out, topics], {
        stdio: ['ignore', 2, 2],
      })
      if (ran.status !== 0) throw new Error(`${python} topics_peer.py ended with ${ran.status ?? ran.signal}`)
      const words = JSON.parse(readFileSync(out, 'utf8')) as string[][]
      report(
        topics === 'auto' ? 'bertopic' : `bertopic reduced to ${topics}`,
        of.documents,
        words,
        (performance.now() - began) / 1000,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
