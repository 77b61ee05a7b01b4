import { fileURLToPath } from 'node:url'
import { type Embedder, openEmbedder } from '@tagloom/inference'
import { type ModelDeps, modelSource, refusedModel } from './model-source.ts'

const BUNDLED = fileURLToPath(new URL('../../../models/all-MiniLM-L6-v2', import.meta.url))

/** The embedding model as the environment asks for it; falling back to the CPU, or to exact products, is said in the log. */
export async function openTaggerEmbedder(deps: ModelDeps): Promise<Embedder> {
  const { config, log } = deps
  const embedder = await openEmbedder({
    model: config.EMBEDDING_MODEL || BUNDLED,
    ...(config.EMBEDDING_MODEL_FILE ? { modelFile: config.EMBEDDING_MODEL_FILE } : {}),
    device: config.INFERENCE_DEVICE,
    // Its weights are rounded so that none can clip (models/README.md).
    productsFit: !config.EMBEDDING_MODEL,
    ...modelSource(deps),
  }).catch(refusedModel('EMBEDDING_MODEL'))
  const { modelId: model, dims, maxTokens: max_tokens, device } = embedder
  log.event('model_loaded', { model, dims, max_tokens, device })
  for (const reason of embedder.warnings) log.event('device_fallback', { device, reason })
  if (!embedder.poolingNamed) log.event('pooling_assumed', { model })
  if (embedder.clippedCosine !== undefined)
    log.event('products_exact', { model, clipped_cosine: embedder.clippedCosine })
  return embedder
}
