import { type EmbedderOptions, ModelRefused } from '@tagloom/inference'
import { EnvironmentError, type ServiceDeps } from '@tagloom/service-kit'
import type { Config } from './config.ts'

export type ModelDeps = Pick<ServiceDeps<Config>, 'config' | 'log' | 'stillStarting'>

type ModelSource = Pick<
  EmbedderOptions,
  'cacheDir' | 'endpoint' | 'token' | 'leastRate' | 'threads' | 'onDeath' | 'onProgress'
>

const A_MINUTE_MS = 60_000

const TELL_EVERY_MS = 1_000

/**
 * Where models come from and how they run, as the environment says; downloads are said in the log, a line for each tenth, and to whoever waits
 * for the service to start.
 */
export function modelSource({ config, log, stillStarting }: ModelDeps): ModelSource {
  let shownTenth = -1
  let toldAt = Number.NEGATIVE_INFINITY
  return {
    cacheDir: config.MODEL_CACHE_DIR,
    endpoint: config.HF_ENDPOINT,
    token: config.HF_TOKEN,
    leastRate: { bytes: config.MODEL_DOWNLOAD_MIN_BYTES_PER_SECOND * 60, withinMs: A_MINUTE_MS },
    ...(config.INFERENCE_THREADS > 0 ? { threads: config.INFERENCE_THREADS } : {}),
    // An error that nobody catches ends the process in order; whoever supervises it starts it anew.
    onDeath: (error) =>
      queueMicrotask(() => {
        throw error
      }),
    onProgress: ({ model, file, bytes, totalBytes }) => {
      const tenth = Math.floor((10 * bytes) / Math.max(1, totalBytes))
      if (performance.now() - toldAt >= TELL_EVERY_MS || tenth !== shownTenth) {
        toldAt = performance.now()
        stillStarting(`downloading ${model}, ${10 * tenth} % of ${megabytes(totalBytes)} MB`)
      }
      if (tenth === shownTenth) return
      shownTenth = tenth
      log.event('model_download', { model, file, bytes, total_bytes: totalBytes })
    },
  }
}

const megabytes = (bytes: number): string => (bytes < 1e7 ? (bytes / 1e6).toFixed(1) : String(Math.round(bytes / 1e6)))

/** A model that cannot be used is a variable that is wrong: starting again would not help. */
export const refusedModel =
  (variable: string) =>
  (error: Error): never => {
    throw error instanceof ModelRefused
      ? new EnvironmentError(`${variable}: ${error.message}`, { cause: error })
      : error
  }
