import type { Embedder } from '@tagloom/inference'
import type { HandlerDeps } from '@tagloom/service-kit'

/** What the handlers of the embed stage work with. */
export interface EmbedDeps extends HandlerDeps {
  readonly embedder: Embedder
}
