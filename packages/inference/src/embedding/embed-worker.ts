/**
 * Thread of one embedding session: tokenises, cuts pages into windows, runs the model, and sends vectors back.
 * Started by worker-pool.ts only; its first message tells that the model is open, or why not.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { ModelRefused } from '../models/model-refused.ts'
import { type Page, pageWindows } from './page-windows.ts'
import { normalizeInPlace } from './pooling.ts'
import { type EncodeCounts, TextEncoder } from './text-encoder.ts'
import type { EmbedReply, EmbedTask, WorkerSetup } from './worker-pool.ts'

const { spec, device, threads, recipe, products } = workerData as WorkerSetup
const port = parentPort!

async function open(): Promise<void> {
  const encoder = await TextEncoder.open(spec, device, threads, products)
  port.on('message', (task: EmbedTask | 'close') => {
    if (task === 'close') void encoder.close().finally(() => port.close())
    else void answer(encoder, task)
  })
  const { fallback, clippedCosine } = encoder
  port.postMessage({ opened: true, device: encoder.device, fallback, clippedCosine })
}

async function answer(encoder: TextEncoder, task: EmbedTask): Promise<void> {
  const counts: EncodeCounts = { texts: 0, tokens: 0, paddedTokens: 0 }
  try {
    const encoded =
      task.pages === undefined ? await encodeTexts(encoder, task, counts) : await encodePages(encoder, task, counts)
    const reply: EmbedReply = { id: task.id, counts, ...encoded }
    port.postMessage(reply, [encoded.vectors.buffer as ArrayBuffer, encoded.tokens.buffer as ArrayBuffer])
  } catch (error) {
    port.postMessage({ id: task.id, error: (error as Error).message } satisfies EmbedReply)
  }
}

/** Each text's vector; zeros for one that the model cannot read, which would be as near to any other such text as to itself. */
async function encodeTexts(encoder: TextEncoder, task: EmbedTask, counts: EncodeCounts) {
  const { tokenizer } = encoder
  const inputs = task.texts.map((text) => tokenizer.tokenize(task.prefix + text))
  const prefix = tokenizer.tokenize(task.prefix)
  const vectors = await encoder.encode(inputs, counts)
  for (const [row, ids] of inputs.entries()) {
    if (tokenizer.cannotRead(ids, prefix)) vectors.fill(0, row * spec.dims, (row + 1) * spec.dims)
  }
  return { vectors, tokens: Uint32Array.from(inputs, (ids) => ids.length) }
}

/** A page's windows as tokens; none where nothing is left of them, as of controls and characters of no width. */
function tokenWindows({ tokenizer }: TextEncoder, page: Page, prefix: string, limit: number) {
  const cut = { ...recipe, windowTokens: limit }
  const windows = pageWindows(page, cut, (sample) => tokenizer.charsPerToken(sample))
  const nothing = tokenizer.tokenize(prefix, limit).length
  return windows
    .map(({ text, weight }) => ({ ids: tokenizer.tokenize(prefix + text, limit), weight }))
    .filter(({ ids }) => ids.length > nothing)
}

/** Each page's windows through the model, and their weighted mean as the page's vector, of unit length. */
async function encodePages(encoder: TextEncoder, task: EmbedTask, counts: EncodeCounts) {
  const limit = Math.min(recipe.windowTokens, spec.maxTokens)
  const windows = task.pages!.map((page) => tokenWindows(encoder, page, task.prefix, limit))
  const inputs = windows.flat().map(({ ids }) => ids)
  const encoded = await encoder.encode(inputs, counts)
  const { dims } = spec
  const vectors = new Float32Array(windows.length * dims)
  const tokens = new Uint32Array(windows.length)
  const sum = new Float64Array(dims)
  let next = 0
  for (const [p, own] of windows.entries()) {
    sum.fill(0)
    for (const { ids, weight } of own) {
      for (let d = 0; d < dims; d++) sum[d] = sum[d]! + weight * encoded[next * dims + d]!
      tokens[p] = tokens[p]! + ids.length
      next++
    }
    normalizeInPlace(sum)
    vectors.set(sum, p * dims)
  }
  return { vectors, tokens }
}

open().catch((error: Error) => {
  port.postMessage({ opened: false, refused: error instanceof ModelRefused, error: error.message })
  port.close()
})
