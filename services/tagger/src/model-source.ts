import type { EmbedderOptions } from '@tagloom/inference'
import type { Log } from '@tagloom/service-kit'
import type { Config } from './config.ts'

type ModelSource = Pick<
  EmbedderOptions,
  'cacheDir' | 'endpoint' | 'token' | 'leastRate' | 'threads' | 'onDeath' | 'onProgress'
>

const A_MINUTE_MS = 60_000

/** Where models come from and how they run, as the environment says; downloads are said in the log, a line for each tenth. */
export function modelSource(config: Config, log: Log): ModelSource {
  let shownTenth = -1
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
      if (tenth === shownTenth) return
      shownTenth = tenth
      log.event('model_download', { model, file, bytes, total_bytes: totalBytes })
    },
  }
}
