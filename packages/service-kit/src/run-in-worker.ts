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
 */

export interface WorkerOptions<Progress> {
  readonly input: unknown
  /** Buffers that are moved to the worker instead of copied */
  readonly transfer?: readonly Transferable[]
  /** Ends the thread at once */
  readonly signal?: AbortSignal
  readonly resourceLimits?: ResourceLimits
  readonly onProgress?: (progress: Progress) => void
}

/** The thread ended without a result. */
export class WorkerFailed extends Error {
  readonly code = 'worker_failed'
  override readonly name = 'WorkerFailed'
}

type Said = { readonly progress: unknown } | { readonly result: unknown } | { readonly error: Error }

/**
 * Runs the module at `url` in a worker thread and returns its result.
 * @throws what the module threw, WorkerFailed when the thread ended by itself (out of memory), or the signal's reason
 */
export async function runInWorker<Result, Progress = never>(
  url: URL,
  options: WorkerOptions<Progress>,
): Promise<Result> {
  options.signal?.throwIfAborted()
  const worker = new Worker(url, {
    workerData: options.input,
    transferList: [...(options.transfer ?? [])],
    execArgv: [],
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
        else reject(said.error)
      })
      worker.once('error', (cause) =>
        reject(new WorkerFailed(`${url.pathname.split('/').at(-1)} failed: ${(cause as Error).message}`, { cause })),
      )
      worker.once('exit', (code) =>
        reject(new WorkerFailed(`${url.pathname.split('/').at(-1)} ended with exit code ${code} and no result`)),
      )
    })
  } finally {
    options.signal?.removeEventListener('abort', abort)
    await worker.terminate()
  }
}

/**
 * The worker's side: the module's last statement. Does nothing when the module is imported elsewhere, e.g. by a test.
 * @param work its `transfer` lists buffers of the result that are moved to the parent
 */
export function answerParent<Input, Result, Progress = never>(
  work: (
    input: Input,
    report: (progress: Progress) => void,
  ) => Promise<{ readonly result: Result; readonly transfer?: readonly Transferable[] }>,
): void {
  const port = parentPort
  if (isMainThread || !port) return
  const say = (said: Said, transfer: readonly Transferable[] = []) => port.postMessage(said, [...transfer])
  work(workerData as Input, (progress) => say({ progress })).then(
    ({ result, transfer }) => say({ result }, transfer),
    (error: Error) => say({ error }),
  )
}
