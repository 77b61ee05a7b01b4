import { expect, it } from 'vitest'
import type { SumInput } from './fixtures/sum-worker.ts'
import { runInWorker, WorkerFailed } from './run-in-worker.ts'

const url = new URL('./fixtures/sum-worker.ts', import.meta.url)
const run = (input: SumInput, options: { signal?: AbortSignal; onProgress?: (p: { done: number }) => void } = {}) =>
  runInWorker<Float32Array, { done: number }>(url, {
    input,
    transfer: [input.values.buffer as ArrayBuffer],
    ...options,
  })

it('returns the result, reports progress, and moves buffers instead of copying them', async () => {
  const values = Float32Array.of(1, 2, 3)
  const progress: unknown[] = []
  expect(await run({ values }, { onProgress: (p) => progress.push(p) })).toEqual(Float32Array.of(6))
  expect(progress).toEqual([{ done: 1 }])
  expect(values.length).toBe(0)
})

it('throws what the worker threw', async () => {
  await expect(run({ values: Float32Array.of(), mode: 'throw' })).rejects.toMatchObject({
    message: 'expected 3 values, got 2',
    code: 'bad_shape',
  })
})

it('throws WorkerFailed when the thread ends without a result', async () => {
  const ended = run({ values: Float32Array.of(), mode: 'exit' })
  await expect(ended).rejects.toThrow(WorkerFailed)
  await expect(ended).rejects.toThrow('sum-worker.ts ended with exit code 3')
})

it('ends a thread that is busy as soon as the signal aborts, while the event loop stays free', async () => {
  const abort = new AbortController()
  const began = performance.now()
  const running = run({ values: Float32Array.of(), mode: 'forever' }, { signal: abort.signal })
  setTimeout(() => abort.abort(new Error('the job was cancelled')), 50)
  await expect(running).rejects.toThrow('the job was cancelled')
  expect(performance.now() - began).toBeLessThan(5_000)
})

it('starts nothing when the signal is aborted already', async () => {
  await expect(run({ values: Float32Array.of() }, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
})

it('waits for a native call that the thread is in before it ends it, and lets no other begin', async () => {
  const seen = new Int32Array(new SharedArrayBuffer(8))
  const abort = new AbortController()
  const onProgress = () => abort.abort(new Error('the job was cancelled'))
  const running = runInWorker<Float32Array, { done: number }>(url, {
    input: { values: Float32Array.of(), mode: 'native', seen },
    signal: abort.signal,
    onProgress,
  })
  await expect(running).rejects.toThrow('the job was cancelled')
  expect(Atomics.load(seen, 0)).toBe(2)
})
