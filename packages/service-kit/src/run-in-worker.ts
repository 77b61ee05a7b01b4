import { setTimeout as delay } from 'node:timers/promises'
import {
  isMainThread,
  parentPort,
  type ResourceLimits,
  type Transferable,
  Worker,
  workerData,
} from 'node:worker_threads'

/*
 * Heavy loops run in a thread of their own, so that the event loop stays free for heartbeats and health checks. The module at `url` calls
 * `answerParent` and is otherwise free of effects; input and output travel by structured clone, large arrays by transfer.
 *
 * A thread that is ended while a native addon computes for it takes the whole process with it (ONNX Runtime throws Napi::Error where
 * nobody can catch it). So such calls go through a gate that both threads see: how many are inside, and whether it is closed, after
 * which none begins. A thread is ended when its gate is closed and nobody is inside.
 */

const inside = 0
const closed = 1
const gateEveryMs = 2
const gateWithinMs = 10_000
/** Hooks of modules are a thread's own: without it the clusterer's thread loads in 2.0 s of processor time instead of 0.8. */
const quickImports = new URL('./quick-imports.ts', import.meta.url).href

/** Runs a call of a native addon; rejects without running it when the thread is about to end. */
export type Native = <Value>(call: () => Promise<Value>) => Promise<Value>

const nativeThrough =
  (gate: Int32Array): Native =>
  async (call) => {
    // Counted first and asked then: whoever closes sees the count, or the call sees that it is closed.
    Atomics.add(gate, inside, 1)
    try {
      if (Atomics.load(gate, closed) === 1) throw new Error('the thread is about to end')
      return await call()
    } finally {
      Atomics.sub(gate, inside, 1)
    }
  }

async function close(gate: Int32Array): Promise<void> {
  const end = performance.now() + gateWithinMs
  Atomics.store(gate, closed, 1)
  while (Atomics.load(gate, inside) > 0 && performance.now() < end) await delay(gateEveryMs)
}

export interface WorkerOptions<Progress> {
  readonly input: unknown
  /** Buffers that are moved to the worker instead of copied */
  readonly transfer?: readonly Transferable[]
  /** Ends the thread at once, or as soon as a native call that it is in returns */
  readonly signal?: AbortSignal
  readonly resourceLimits?: ResourceLimits
  readonly onProgress?: (progress: Progress) => void
}

/** The thread ended without a result. */
export class WorkerFailed extends Error {
  readonly code = 'worker_failed'
  override readonly name = 'WorkerFailed'
}

/** An error loses its fields on the way between threads; its code is what callers go by. */
type Said =
  | { readonly progress: unknown }
  | { readonly result: unknown }
  | { readonly error: Error; readonly code: unknown }

/**
 * Runs the module at `url` in a worker thread and returns its result.
 * @throws what the module threw, WorkerFailed when the thread ended by itself (out of memory), or the signal's reason
 */
export async function runInWorker<Result, Progress = never>(
  url: URL,
  options: WorkerOptions<Progress>,
): Promise<Result> {
  options.signal?.throwIfAborted()
  const gate = new Int32Array(new SharedArrayBuffer(8))
  let ended = false
  const worker = new Worker(url, {
    workerData: { input: options.input, gate },
    transferList: [...(options.transfer ?? [])],
    execArgv: ['--import', quickImports],
    ...(options.resourceLimits ? { resourceLimits: options.resourceLimits } : {}),
  })
  let abort = () => {}
  try {
    return await new Promise<Result>((resolve, reject) => {
      abort = () => reject(options.signal?.reason)
      options.signal?.addEventListener('abort', abort, { once: true })
      worker.on('message', (said: Said) => {
        if ('progress' in said) options.onProgress?.(said.progress as Progress)
        else if ('result' in said) resolve(said.result as Result)
        else reject(said.code === undefined ? said.error : Object.assign(said.error, { code: said.code }))
      })
      worker.once('error', (cause) =>
        reject(new WorkerFailed(`${url.pathname.split('/').at(-1)} failed: ${(cause as Error).message}`, { cause })),
      )
      worker.once('exit', (code) => {
        ended = true
        reject(new WorkerFailed(`${url.pathname.split('/').at(-1)} ended with exit code ${code} and no result`))
      })
    })
  } finally {
    options.signal?.removeEventListener('abort', abort)
    if (!ended) await close(gate)
    await worker.terminate()
  }
}

/**
 * The worker's side: the module's last statement. Does nothing when the module is imported elsewhere, e.g. by a test.
 * @param work calls native addons through its third argument; its `transfer` lists buffers of the result that are moved to the parent
 */
export function answerParent<Input, Result, Progress = never>(
  work: (
    input: Input,
    report: (progress: Progress) => void,
    native: Native,
  ) => Promise<{ readonly result: Result; readonly transfer?: readonly Transferable[] }>,
): void {
  const port = parentPort
  if (isMainThread || !port) return
  const say = (said: Said, transfer: readonly Transferable[] = []) => port.postMessage(said, [...transfer])
  const { input, gate } = workerData as { input: Input; gate: Int32Array }
  work(input, (progress) => say({ progress }), nativeThrough(gate)).then(
    ({ result, transfer }) => say({ result }, transfer),
    (error: Error & { code?: unknown }) => say({ error, code: error.code ?? codeOf(error.cause) }),
  )
}

const codeOf = (cause: unknown): unknown => (cause instanceof Error ? (cause as { code?: unknown }).code : undefined)
