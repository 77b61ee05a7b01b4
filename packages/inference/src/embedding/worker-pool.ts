import { Worker } from 'node:worker_threads'
import { ModelRefused } from '../models/model-refused.ts'
import type { Products } from './clipped-products.ts'
import type { ModelSpec } from './model-spec.ts'
import type { Page, PageRecipe } from './page-windows.ts'
import type { Device } from './session.ts'
import type { EncodeCounts } from './text-encoder.ts'

export interface WorkerSetup {
  readonly spec: ModelSpec
  readonly device: Device | 'auto'
  readonly threads: number
  readonly recipe: PageRecipe
  readonly products: Products
}

export interface EmbedTask {
  readonly id: number
  readonly prefix: string
  readonly texts: readonly string[]
  readonly pages?: readonly Page[]
}

/** What a worker made of a task: vectors [rows × dims], tokens of each row, counts of the whole. */
export interface Embedded {
  readonly vectors: Float32Array
  readonly tokens: Uint32Array
  readonly counts: EncodeCounts
}

export type EmbedReply = { readonly id: number } & (Embedded | { readonly error: string })

type Opened =
  | { opened: true; device: Device; fallback?: string; clippedCosine?: number }
  | { opened: false; refused: boolean; error: string }

/**
 * Hardly anything that a thread makes outlives its task. Left to itself V8 lets the young generation of each grow by some 30 MB, at moments
 * that differ from run to run: two semi-spaces of 8 MB each are enough. V8 takes a third of this, rounded up to a power of two: 32 changes nothing.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 24 }

interface Waiting {
  readonly make: () => Omit<EmbedTask, 'id'>
  readonly resolve: (reply: Embedded) => void
  readonly reject: (error: Error) => void
}

/** Workers with one task in hand each; the rest waits here. A worker that dies fails what waits and all that comes. */
export class WorkerPool {
  readonly device: Device
  readonly fallback: string | undefined
  readonly clippedCosine: number | undefined
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
    this.clippedCosine = first.clippedCosine
    for (const worker of workers) {
      worker.on('message', (reply: EmbedReply) => this.#settle(worker, reply))
      worker.on('error', (cause: Error) => this.#die(new Error(`embedding worker died: ${cause.message}`, { cause })))
      worker.on('exit', (code) => this.#die(new Error(`embedding worker exited with code ${code}`)))
    }
  }

  /** The first worker looks at the products, where that is asked for, and the others go by what it found. */
  static async open(setup: WorkerSetup, size: number, onDeath?: (error: Error) => void): Promise<WorkerPool> {
    const workers: Worker[] = []
    const open = (products: Products): Promise<Opened> => {
      const workerData = { ...setup, products } satisfies WorkerSetup
      const name = `embed-${workers.length}`
      workers.push(new Worker(new URL('./embed-worker.ts', import.meta.url), { workerData, name, resourceLimits }))
      return firstMessage(workers.at(-1)!)
    }
    const opening = [open(setup.products)]
    let products = setup.products
    if (products === 'check') {
      const first = await opening[0]!
      products = first.opened && first.clippedCosine !== undefined ? 'exact' : 'fit'
    }
    while (opening.length < size) opening.push(open(products))
    const opened = await Promise.all(opening)
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
