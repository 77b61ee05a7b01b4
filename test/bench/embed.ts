/**
 * Speed and faithfulness of embedding.
 *
 *   npm run bench -- embed --pages F.ndjson [--reference R.f32] [--model M] [--threads N] [--passes 2]
 *                          [--whole-text] [--peer PYTHON]
 *
 * F holds `{"id","title","text"}` lines. One JSON line: pages/s, tokens/s (and by CPU second, which other work on the machine disturbs
 * less), padding waste, memory after each pass, and with
 * --reference (float32 [pages × dims], row by row as in F) the cosine to it. --whole-text embeds each page as one text (title and
 * text, cut at the model's limit) rather than as windows: what the peers do. --peer runs embed_peer.py beside this file with that Python
 * on the same texts and model: ONNX Runtime, and sentence-transformers where it is installed.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Embedder, openEmbedder, type Page } from '@tagloom/inference'
import { countOf, readNdjson, readRows } from './ground/files.ts'

const options = {
  pages: { type: 'string' },
  reference: { type: 'string' },
  model: { type: 'string', default: 'models/all-MiniLM-L6-v2' },
  threads: { type: 'string' },
  passes: { type: 'string', default: '1' },
  limit: { type: 'string' },
  'whole-text': { type: 'boolean', default: false },
  peer: { type: 'string' },
} as const

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options })
  if (values.pages === undefined) throw new Error('expected --pages F.ndjson with lines {"id","title","text"}')
  const pages = readPages(values.pages, values.limit === undefined ? undefined : countOf('limit', values.limit))
  const embedder = await openEmbedder({
    model: values.model,
    cacheDir: '.tagloom/models',
    ...(values.threads === undefined ? {} : { threads: countOf('threads', values.threads) }),
  })
  const { modelId, dims, device } = embedder
  await embedder.embed(pages.slice(0, 8).map(wholeText))
  const rssMiB: number[] = []
  const vectors = new Float32Array(pages.length * dims)
  for (let pass = 1; pass <= countOf('passes', values.passes); pass++) {
    const figures = await onePass(embedder, pages, values['whole-text'], vectors)
    rssMiB.push(Math.round(process.memoryUsage.rss() / 1048576))
    const cosine = values.reference === undefined ? {} : cosineTo(values.reference, vectors, dims)
    const name = values['whole-text'] ? 'embed-texts' : 'embed'
    console.log(
      JSON.stringify({ bench: name, model: modelId, device, pages: pages.length, ...figures, ...cosine, rssMiB }),
    )
  }
  await embedder.close()
  if (values.peer !== undefined) runPeer(values.peer, values.pages, values.model, pages.length)
}

function readPages(file: string, limit: number | undefined): Page[] {
  const pages = readNdjson<Page>(file).slice(0, limit)
  const bad = pages.findIndex(({ title, text }) => typeof title !== 'string' || typeof text !== 'string')
  if (bad >= 0) throw new Error(`${file}: page ${bad + 1} has no title or no text, expected {"id","title","text"}`)
  return pages
}

function wholeText({ title, text }: Page): string {
  return text.startsWith(title) ? text : `${title}\n${text}`
}

async function onePass(embedder: Embedder, pages: readonly Page[], wholeTexts: boolean, vectors: Float32Array) {
  const before = embedder.stats()
  const started = performance.now()
  const cpu = process.cpuUsage()
  // In pieces, as the service does: memory doesn't grow with the number of pages.
  for (let from = 0; from < pages.length; from += 1024) {
    const piece = pages.slice(from, from + 1024)
    const made = wholeTexts ? await embedder.embed(piece.map(wholeText)) : (await embedder.embedPages(piece)).vectors
    vectors.set(made, from * embedder.dims)
  }
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const after = embedder.stats()
  const tokens = after.tokens - before.tokens
  const padded = after.paddedTokens - before.paddedTokens
  return {
    seconds: round(seconds),
    pagesPerSecond: round(pages.length / seconds),
    tokensPerSecond: Math.round(tokens / seconds),
    tokensPerCpuSecond: Math.round((tokens / (user + system)) * 1e6),
    tokens,
    windows: after.windows - before.windows,
    paddingWaste: round(padded > 0 ? 1 - tokens / padded : 0),
  }
}

function cosineTo(file: string, vectors: Float32Array, dims: number) {
  const reference = readRows(file, dims)
  if (reference.length < vectors.length) {
    throw new Error(`${file} holds ${reference.length} values, expected at least ${vectors.length} (pages × dims)`)
  }
  const cosines = Array.from({ length: vectors.length / dims }, (_, row) => {
    let [dot, a, b] = [0, 0, 0]
    for (let d = row * dims; d < (row + 1) * dims; d++) {
      dot += vectors[d]! * reference[d]!
      a += vectors[d]! ** 2
      b += reference[d]! ** 2
    }
    return a > 0 && b > 0 ? dot / Math.sqrt(a * b) : 0
  })
  const mean = cosines.reduce((sum, c) => sum + c, 0) / cosines.length
  return { cosineMean: round(mean), cosineMin: round(Math.min(...cosines)) }
}

function runPeer(python: string, pages: string, model: string, limit: number): void {
  const script = fileURLToPath(new URL('embed_peer.py', import.meta.url))
  const args = [script, '--pages', pages, '--model', model, '--limit', String(limit)]
  const { status } = spawnSync(python, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: 1_800_000 })
  if (status !== 0) throw new Error(`${python} ${script} ended with ${status}`)
}

const round = (value: number) => Math.round(value * 10_000) / 10_000
