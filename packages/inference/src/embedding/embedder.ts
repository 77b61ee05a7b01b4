import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { ModelRefused } from '../models/model-refused.ts'
import { type ObtainOptions, obtainModel } from '../models/obtain-model.ts'
import { EMBEDDING_MODEL, type ModelSpec, readModelSpec } from './model-spec.ts'
import type { Page, PageRecipe } from './page-windows.ts'
import type { Device } from './session.ts'
import type { EncodeCounts } from './text-encoder.ts'

/**
 * Embedding on threads of its own.
 *
 * The caller's thread only hands out work: tokenising, windows, inference and pooling happen in workers. Each worker has
 * a session on one thread, as many workers as threads: measured on 2 cores at 121 tokens, two sessions of one thread are
 * faster than one session of two, and the arithmetic doesn't depend on the number of threads. A model so large
 * that copies would cost more than SESSION_BYTES gets fewer sessions with more threads each.
 */
export interface EmbedderOptions extends ObtainOptions {
  /** A folder in Hugging Face layout, or a hub name such as `BAAI/bge-small-en-v1.5`. */
  readonly model: string
  readonly device?: Device | 'auto'
  /** CPU threads in all; by default as many as the process may use. */
  readonly threads?: number
  readonly recipe?: PageRecipe
  /** Told when a worker died: the embedder answers nothing any more, and its process had better end. */
  readonly onDeath?: (error: Error) => void
}

export interface EmbedStats {
  readonly pages: number
  /** Texts that went through the model: a long page is several. */
  readonly windows: number
  readonly tokens: number
  readonly paddedTokens: number
  /** Share of what the model computed that was padding, 0 to 1. */
  readonly paddingWaste: number
}

export interface PageVectors {
  /** [pages × dims] row-major, of unit length; zeros for a page with nothing to read. */
  readonly vectors: Float32Array
  /** Tokens read of each page; 0 for a page with nothing to read. */
  readonly tokens: Uint32Array
  readonly stats: EmbedStats
}

export interface Embedder {
  /** Name and content hash: vectors of two ids must never be mixed. */
  readonly modelId: string
  readonly dims: number
  readonly maxTokens: number
  readonly device: Device
  /** What the operator wished for and didn't get, with the reason. */
  readonly warnings: readonly string[]
  /** Vectors [texts × dims] row-major of short texts, each cut to the model's limit. */
  embed(texts: readonly string[], as?: 'document' | 'query'): Promise<Float32Array>
  /** An aborted signal rejects at once; what a worker has in hand (tenths of a second) still ends. */
  embedPages(pages: readonly Page[], signal?: AbortSignal): Promise<PageVectors>
  /** Totals since opening. */
  stats(): EmbedStats
  close(): Promise<void>
}

/** The way from a page to windows that docs/models.md measures; a part of the model's id. */
const DEFAULT_RECIPE: PageRecipe = {
  windowTokens: 256,
  bodyWindows: 3,
  titleEverywhere: true,
  outlineWeight: 0.5,
  leadWeight: 1,
  bodyWeight: 2,
}

export interface WorkerSetup {
  readonly spec: ModelSpec
  readonly device: Device | 'auto'
  readonly threads: number
  readonly recipe: PageRecipe
}

export interface EmbedTask {
  readonly id: number
  readonly prefix: string
  readonly texts: readonly string[]
  readonly pages?: readonly Page[]
}

/** What a worker made of a task: vectors [rows × dims], tokens of each row, counts of the whole. */
interface Embedded {
  readonly vectors: Float32Array
  readonly tokens: Uint32Array
  readonly counts: EncodeCounts
}

export type EmbedReply = { readonly id: number } & (Embedded | { readonly error: string })

type Opened = { opened: true; device: Device; fallback?: string } | { opened: false; refused: boolean; error: string }

/** Copies of the model in memory may take this much together. */
const SESSION_BYTES = 1 << 30
/** Texts and characters that go to a worker at once: some tenths of a second of work. */
const GROUP_TEXTS = 256
const GROUP_CHARS = 24_000

export async function openEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const recipe = options.recipe ?? DEFAULT_RECIPE
  const { folder, name } = await obtainModel(options.model, EMBEDDING_MODEL, options)
  const spec = await readModelSpec(folder, { ...options, name, recipe: JSON.stringify(recipe) })
  const wished = options.device ?? 'cpu'
  const threads = options.threads ?? availableParallelism()
  const sessions = wished === 'cpu' ? sessionCount(threads, spec.onnxBytes) : 1
  const setup: WorkerSetup = { spec, device: wished, threads: Math.max(1, Math.floor(threads / sessions)), recipe }
  const pool = await WorkerPool.open(setup, sessions, options.onDeath)
  return new PooledEmbedder(spec, recipe, pool)
}

function sessionCount(threads: number, modelBytes: number): number {
  return Math.max(1, Math.min(threads, Math.floor(SESSION_BYTES / modelBytes)))
}

class PooledEmbedder implements Embedder {
  readonly modelId: string
  readonly dims: number
  readonly maxTokens: number
  readonly device: Device
  readonly warnings: readonly string[]
  #spec: ModelSpec
  #recipe: PageRecipe
  #pool: WorkerPool
  #totals = { pages: 0, texts: 0, tokens: 0, paddedTokens: 0 }

  constructor(spec: ModelSpec, recipe: PageRecipe, pool: WorkerPool) {
    this.#spec = spec
    this.#recipe = recipe
    this.#pool = pool
    this.modelId = spec.modelId
    this.dims = spec.dims
    this.maxTokens = spec.maxTokens
    this.device = pool.device
    this.warnings = pool.fallback === undefined ? [] : [`CUDA is not used, the CPU is: ${pool.fallback}`]
  }

  async embed(texts: readonly string[], as: 'document' | 'query' = 'document'): Promise<Float32Array> {
    const prefix = as === 'query' ? this.#spec.queryPrefix : this.#spec.documentPrefix
    const most = this.#spec.maxTokens * 5
    const sizes = texts.map((text) => Math.min(most, text.length))
    return (await this.#spread(sizes, (rows) => ({ prefix, texts: rows.map((r) => texts[r]!) }))).vectors
  }

  async embedPages(pages: readonly Page[], signal?: AbortSignal): Promise<PageVectors> {
    const { windowTokens, bodyWindows } = this.#recipe
    const most = Math.min(windowTokens, this.#spec.maxTokens) * 5 * (bodyWindows + 2)
    const sizes = pages.map((page) => Math.min(most, page.title.length + page.text.length))
    const prefix = this.#spec.documentPrefix
    const { vectors, tokens, counts } = await this.#spread(
      sizes,
      (rows) => ({
        prefix,
        texts: [],
        pages: rows.map((r) => ({ title: pages[r]!.title, text: pages[r]!.text })),
      }),
      signal,
    )
    this.#totals.pages += pages.length
    return { vectors, tokens, stats: statsOf({ ...counts, pages: pages.length }) }
  }

  stats(): EmbedStats {
    return statsOf(this.#totals)
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  /** Cuts the input into groups of like length, has the workers answer them, and puts the vectors back in order. */
  async #spread(
    sizes: readonly number[],
    task: (rows: readonly number[]) => Omit<EmbedTask, 'id'>,
    signal?: AbortSignal,
  ): Promise<Embedded> {
    const { dims } = this
    const vectors = new Float32Array(sizes.length * dims)
    const tokens = new Uint32Array(sizes.length)
    const counts: EncodeCounts = { texts: 0, tokens: 0, paddedTokens: 0 }
    const groups = groupBySize(sizes, this.#pool.size)
    await Promise.all(
      groups.map(async (rows) => {
        const reply = await this.#pool.run(() => task(rows), signal)
        for (const [k, row] of rows.entries()) {
          vectors.set(reply.vectors.subarray(k * dims, (k + 1) * dims), row * dims)
          tokens[row] = reply.tokens[k]!
        }
        addCounts(counts, reply.counts)
      }),
    )
    addCounts(this.#totals, counts)
    return { vectors, tokens, counts }
  }
}

function addCounts(to: EncodeCounts, counts: EncodeCounts): void {
  to.texts += counts.texts
  to.tokens += counts.tokens
  to.paddedTokens += counts.paddedTokens
}

function statsOf(counts: EncodeCounts & { pages: number }): EmbedStats {
  const { pages, texts, tokens, paddedTokens } = counts
  return { pages, windows: texts, tokens, paddedTokens, paddingWaste: paddedTokens > 0 ? 1 - tokens / paddedTokens : 0 }
}

/** Groups of rows of like size, the largest first so that no worker is left with a long one at the end. */
function groupBySize(sizes: readonly number[], workers: number): number[][] {
  const order = sizes.map((_, row) => row).sort((a, b) => sizes[b]! - sizes[a]! || a - b)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const chars = Math.min(GROUP_CHARS, Math.max(1, Math.ceil(total / workers)))
  const groups: number[][] = []
  let group: number[] = []
  let inGroup = 0
  for (const row of order) {
    if (group.length > 0 && (group.length >= GROUP_TEXTS || inGroup + sizes[row]! > chars)) {
      groups.push(group)
      group = []
      inGroup = 0
    }
    group.push(row)
    inGroup += sizes[row]!
  }
  if (group.length > 0) groups.push(group)
  return groups
}

interface Waiting {
  readonly make: () => Omit<EmbedTask, 'id'>
  readonly resolve: (reply: Embedded) => void
  readonly reject: (error: Error) => void
}

/** Workers with one task in hand each; the rest waits here. A worker that dies fails what waits and all that comes. */
class WorkerPool {
  readonly device: Device
  readonly fallback: string | undefined
  readonly size: number
  #workers: Worker[]
  #onDeath: ((error: Error) => void) | undefined
  #idle: Worker[]
  #queue: Waiting[] = []
  #inHand = new Map<Worker, Waiting>()
  #failure: Error | undefined
  #nextId = 0

  private constructor(workers: Worker[], first: Opened & { opened: true }, onDeath?: (error: Error) => void) {
    this.#workers = workers
    this.#onDeath = onDeath
    this.#idle = [...workers]
    this.size = workers.length
    this.device = first.device
    this.fallback = first.fallback
    for (const worker of workers) {
      worker.on('message', (reply: EmbedReply) => this.#settle(worker, reply))
      worker.on('error', (cause: Error) => this.#die(new Error(`embedding worker died: ${cause.message}`, { cause })))
      worker.on('exit', (code) => this.#die(new Error(`embedding worker exited with code ${code}`)))
    }
  }

  static async open(setup: WorkerSetup, size: number, onDeath?: (error: Error) => void): Promise<WorkerPool> {
    const workers: Worker[] = []
    for (let k = 0; k < size; k++) {
      workers.push(new Worker(new URL('./embed-worker.ts', import.meta.url), { workerData: setup, name: `embed-${k}` }))
    }
    const opened = await Promise.all(workers.map(firstMessage))
    const failed = opened.find((o) => !o.opened)
    if (failed?.opened === false) {
      await Promise.all(workers.map((worker) => worker.terminate()))
      throw failed.refused ? new ModelRefused(failed.error) : new Error(failed.error)
    }
    return new WorkerPool(workers, opened[0] as Opened & { opened: true }, onDeath)
  }

  async run(make: Waiting['make'], signal?: AbortSignal): Promise<Embedded> {
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure
    let abort = () => {}
    try {
      return await new Promise((resolve, reject) => {
        const waiting = { make, resolve, reject }
        abort = () => {
          this.#queue = this.#queue.filter((other) => other !== waiting)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', abort, { once: true })
        this.#queue.push(waiting)
        this.#next()
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    this.#fail(new Error('embedder is closed'))
    const exits = this.#workers.map((w) =>
      w.threadId === -1 ? undefined : new Promise((done) => w.once('exit', done)),
    )
    for (const worker of this.#workers) worker.postMessage('close')
    await Promise.all(exits)
  }

  #next(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!
      const waiting = this.#queue.shift()!
      this.#inHand.set(worker, waiting)
      worker.postMessage({ ...waiting.make(), id: this.#nextId++ } satisfies EmbedTask)
    }
  }

  #settle(worker: Worker, reply: EmbedReply): void {
    const waiting = this.#inHand.get(worker)
    if (waiting === undefined) return
    this.#inHand.delete(worker)
    this.#idle.push(worker)
    if ('error' in reply) waiting.reject(new Error(`embedding failed: ${reply.error}`))
    else waiting.resolve(reply)
    this.#next()
  }

  #die(error: Error): void {
    if (this.#failure !== undefined) return
    this.#fail(error)
    this.#onDeath?.(error)
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    const waiting = [...this.#inHand.values(), ...this.#queue]
    this.#inHand.clear()
    this.#queue = []
    for (const { reject } of waiting) reject(this.#failure)
  }
}

function firstMessage(worker: Worker): Promise<Opened> {
  return new Promise((resolve) => {
    worker.once('message', resolve)
    worker.once('error', (error) => resolve({ opened: false, refused: false, error: error.message }))
  })
}
