import { setImmediate } from 'node:timers/promises'
import type { Embedder } from '@tagloom/inference'
import { type MeaningCosines, meaningCosines, meaningLabels } from '@tagloom/kernels'
import type { TellLookups } from '@tagloom/service-kit'
import { LRUCache } from 'lru-cache'

/** Of all labels that are kept: some 20,000 at 384 dimensions */
const MOST_BYTES = 32 << 20
/** Text of two bytes a character, and some 100 for the rest of an entry. */
const bytesOf = (vector: Float32Array, label: string) => vector.byteLength + 2 * label.length + 100
/** Vectors that are taken apart before the event loop has its turn */
const LABELS_AT_ONCE = 2_000

/** How vectors are asked for. */
export interface Asking {
  readonly tell?: TellLookups
  /** Thousands of labels take seconds: it ends the wait */
  readonly signal?: AbortSignal
}

/**
 * Vectors of labels. What a label means to a model never changes, so this cache is never stale, whatever happens to the vocabulary;
 * ENABLE_QUERY_CACHING=false does without.
 */
export class LabelVectors {
  readonly modelId: string
  readonly dims: number
  hits = 0
  misses = 0
  #embedder: Pick<Embedder, 'embed' | 'modelId' | 'dims'>
  #cache: LRUCache<string, Float32Array> | undefined
  #meaning: Promise<MeaningCosines> | undefined

  constructor(embedder: Pick<Embedder, 'embed' | 'modelId' | 'dims'>, caching: boolean) {
    this.modelId = embedder.modelId
    this.dims = embedder.dims
    this.#embedder = embedder
    this.#cache = caching ? new LRUCache({ maxSize: MOST_BYTES, sizeCalculation: bytesOf }) : undefined
  }

  /** From which cosines on labels are the same to this model; it is asked once. */
  meaning(): Promise<MeaningCosines> {
    this.#meaning ??= this.#measureMeaning().catch((error: unknown) => {
      this.#meaning = undefined
      throw error
    })
    return this.#meaning
  }

  async #measureMeaning(): Promise<MeaningCosines> {
    const vectors = await this.#embedder.embed([...meaningLabels])
    const rows = new Map(meaningLabels.map((label, row) => [label, row * this.dims]))
    return meaningCosines((label) => vectors.subarray(rows.get(label)!, rows.get(label)! + this.dims))
  }

  /** @returns a lookup that knows the vectors of all `labels`, unit length, and no others */
  async of(labels: Iterable<string>, { tell, signal }: Asking = {}): Promise<(label: string) => Float32Array> {
    const known = new Map<string, Float32Array>()
    const missing: string[] = []
    for (const label of new Set(labels)) {
      const vector = this.#cache?.get(label)
      if (vector) known.set(label, vector)
      else missing.push(label)
    }
    this.hits += known.size
    this.misses += missing.length
    tell?.({ hits: known.size, misses: missing.length })
    if (missing.length > 0) {
      const vectors = await this.#embedder.embed(missing, 'document', signal)
      for (const [row, label] of missing.entries()) {
        const vector = vectors.slice(row * this.dims, (row + 1) * this.dims)
        known.set(label, vector)
        this.#cache?.set(label, vector)
        if (row % LABELS_AT_ONCE === 0) await setImmediate()
      }
    }
    return (label) => {
      const vector = known.get(label)
      if (!vector) throw new Error(`no vector was asked for the label "${label}"`)
      return vector
    }
  }
}
