import { fileURLToPath } from 'node:url'
import { type Embedder, openEmbedder } from '@tagloom/inference'
import type { Log } from '@tagloom/service-kit'
import type { Config } from './config.ts'

const BUNDLED = fileURLToPath(new URL('../../../models/all-MiniLM-L6-v2', import.meta.url))

/** The embedding model as the environment asks for it; downloading and falling back to the CPU are said in the log. */
export async function openTaggerEmbedder(config: Config, log: Log): Promise<Embedder> {
  let shownTenth = -1
  const embedder = await openEmbedder({
    model: config.EMBEDDING_MODEL || BUNDLED,
    ...(config.EMBEDDING_MODEL_FILE ? { modelFile: config.EMBEDDING_MODEL_FILE } : {}),
    cacheDir: config.MODEL_CACHE_DIR,
    endpoint: config.HF_ENDPOINT,
    token: config.HF_TOKEN,
    device: config.INFERENCE_DEVICE,
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
  })
  const { modelId: model, dims, maxTokens: max_tokens, device } = embedder
  log.event('model_loaded', { model, dims, max_tokens, device })
  for (const reason of embedder.warnings) log.event('device_fallback', { device, reason })
  return embedder
}
