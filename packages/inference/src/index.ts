import './no-telemetry.ts'

export type { Embedder, EmbedderOptions, EmbedStats, PageVectors } from './embedding/embedder.ts'
export { openEmbedder } from './embedding/embedder.ts'
export type { Page, PageRecipe } from './embedding/page-windows.ts'
export type { ChatMessage, Generated, TextGenerator, TextGeneratorOptions } from './generation/text-generator.ts'
export { openTextGenerator } from './generation/text-generator.ts'
export { ModelRefused } from './models/model-refused.ts'
export { openProducts, type ProductOptions, type Products } from './products/products.ts'
