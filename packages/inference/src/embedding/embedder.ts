import { availableParallelism } from 'node:os'
import { type ObtainOptions, obtainModel } from '../models/obtain-model.ts'
import { EMBEDDING_MODEL, type ModelSpec, readModelSpec } from './model-spec.ts'
import type { Page, PageRecipe } from './page-windows.ts'
import type { Device } from './session.ts'
import type { EncodeCounts } from './text-encoder.ts'
import { type Embedded, type EmbedTask, WorkerPool } from './worker-pool.ts'

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
  /** Whether it is known that the model's products of 8 bits never clip: it need not be found out by opening the model twice. */
  readonly productsFit?: boolean
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
  /** Whether the model's files say how token vectors become one; where they say nothing it is the mean. */
  readonly poolingNamed: boolean
  /**
   * Where products of the model's 8-bit weights would clip on this processor and are made exactly instead, slower: how near the vectors of
   * clipped products came at worst.
   */
  readonly clippedCosine: number | undefined
  /**
   * Vectors [texts × dims] row-major of short texts, each cut to the model's limit; zeros for a text that the model has no words for, as of a
   * script that it was not made for. An aborted signal rejects at once.
   */
  embed(texts: readonly string[], as?: 'document' | 'query', signal?: AbortSignal): Promise<Float32Array>
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

/** Copies of the model in memory may take this much together. */
const SESSION_BYTES = 1 << 30
/** Texts and characters that go to a worker at once: some tenths of a second of work. */
const GROUP_TEXTS = 256
const GROUP_CHARS = 24_000

export async function openEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const recipe = options.recipe ?? DEFAULT_RECIPE
  const { folder, name } = await obtainModel(options.model, EMBEDDING_MODEL, options)
  const spec = await readModelSpec(folder, { ...options, name, recipe: JSON.stringify(recipe) })
  const threads = options.threads ?? availableParallelism()
  const sessions = sessionCount(threads, spec.weightBytes)
  const open = (device: Device | 'auto', size: number) =>
    WorkerPool.open(
      {
        spec,
        device,
        threads: Math.max(1, Math.floor(threads / size)),
        recipe,
        products: options.productsFit === true ? 'fit' : 'check',
      },
      size,
      options.onDeath,
    )
  const wished = options.device ?? 'cpu'
  if (wished === 'cpu') return new PooledEmbedder(spec, recipe, await open('cpu', sessions), [])
  const pool = await open(wished, 1)
  if (pool.fallback === undefined) return new PooledEmbedder(spec, recipe, pool, [])
  await pool.close()
  const warnings = [`CUDA is not used, the CPU is: ${pool.fallback}`]
  return new PooledEmbedder(spec, recipe, await open('cpu', sessions), warnings)
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
  readonly poolingNamed: boolean
  readonly clippedCosine: number | undefined
  #spec: ModelSpec
  #recipe: PageRecipe
  #pool: WorkerPool
  #totals = { pages: 0, texts: 0, tokens: 0, paddedTokens: 0 }

  constructor(spec: ModelSpec, recipe: PageRecipe, pool: WorkerPool, warnings: readonly string[]) {
    this.#spec = spec
    this.#recipe = recipe
    this.#pool = pool
    this.modelId = spec.modelId
    this.dims = spec.dims
    this.maxTokens = spec.maxTokens
    this.device = pool.device
    this.warnings = warnings
    this.poolingNamed = spec.poolingNamed
    this.clippedCosine = pool.clippedCosine
  }

  async embed(
    texts: readonly string[],
    as: 'document' | 'query' = 'document',
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const prefix = as === 'query' ? this.#spec.queryPrefix : this.#spec.documentPrefix
    const most = this.#spec.maxTokens * 5
    const sizes = texts.map((text) => Math.min(most, text.length))
    return (await this.#spread(sizes, (rows) => ({ prefix, texts: rows.map((r) => texts[r]!) }), signal)).vectors
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
