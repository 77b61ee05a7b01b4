export type { Embedder, EmbedderOptions, EmbedStats, PageVectors } from './embedding/embedder.ts'
export { openEmbedder } from './embedding/embedder.ts'
export { ModelRefused } from './embedding/model-spec.ts'
export type { Page, PageRecipe } from './embedding/page-windows.ts'
