import type { Embedder } from '@tagloom/inference'
import { Counter, Gauge, type Registry } from '@tagloom/service-kit'

/** What Prometheus sees of embedding: tokens, padding and pages since the start, and which model runs where. */
export function measureEmbedder(registry: Registry, embedder: Embedder): void {
  const registers = [registry]
  const totals = { pages: 0, tokens: 0, padded_tokens: 0 }
  new Counter({
    name: 'tagloom_embedding_work_total',
    help: 'Pages, tokens, and tokens with padding that went through the embedding model',
    labelNames: ['what'],
    registers,
    collect() {
      const { pages, tokens, paddedTokens } = embedder.stats()
      for (const [what, now] of Object.entries({ pages, tokens, padded_tokens: paddedTokens })) {
        const key = what as keyof typeof totals
        this.inc({ what }, now - totals[key])
        totals[key] = now
      }
    },
  })
  new Gauge({
    name: 'tagloom_embedding_model_info',
    help: 'Always 1; the labels name the embedding model and its device',
    labelNames: ['model', 'device'],
    registers,
  }).set({ model: embedder.modelId, device: embedder.device }, 1)
}
