import '../no-telemetry.ts'

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'

export type Device = 'cpu' | 'cuda'

export interface OpenedSession {
  readonly session: InferenceSession
  readonly device: Device
  /** Why a wished-for CUDA device is not used. */
  readonly fallback?: string
}

/**
 * Opens an ONNX Runtime session on the wished device; where CUDA can't be had, on the CPU, saying why.
 * `auto` tries CUDA first. Sessions differ from the defaults where measured: without SkipLayerNormFusion an int8 MiniLM is 6 to 10 %
 * faster on the CPU (the fused kernel is scalar); without memory patterns, kept per shape, memory stays flat.
 * @param exactProducts whether products of 8-bit weights are added in 32 bits on every processor, which takes a fifth more time on those
 * without VNNI
 */
export async function openSession(
  file: string,
  wished: Device | 'auto',
  threads: number,
  exactProducts = false,
): Promise<OpenedSession> {
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableMemPattern: false,
    logSeverityLevel: 3,
  }
  let fallback: string | undefined
  if (wished !== 'cpu') {
    fallback = cudaMissing()
    if (fallback === undefined) {
      try {
        const session = await InferenceSession.create(file, { ...options, executionProviders: ['cuda'] })
        return { session, device: 'cuda' }
      } catch (error) {
        fallback = (error as Error).message.split('\n')[0]!
      }
    }
  }
  const session = await InferenceSession.create(file, {
    ...options,
    executionProviders: ['cpu'],
    extra: {
      optimization: { disable_specified_optimizers: 'SkipLayerNormFusion' },
      ...(exactProducts && { session: { x64quantprecision: '1' } }),
    },
  })
  return { session, device: 'cpu', ...(fallback === undefined ? {} : { fallback }) }
}

/** Why CUDA can't even be tried, or undefined. Its libraries are not in the package: an install script brings them. */
function cudaMissing(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `onnxruntime-node has CUDA on linux x64 only, this is ${process.platform} ${process.arch}`
  }
  const main = createRequire(import.meta.url).resolve('onnxruntime-node')
  const library = join(dirname(main), '../bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so')
  if (existsSync(library)) return undefined
  return `${library} is not there: run onnxruntime-node's install script with ONNXRUNTIME_NODE_INSTALL=cuda12`
}
