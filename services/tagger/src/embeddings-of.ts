import type { PageEmbedding, PageToEmbed } from '@tagloom/database'
import type { PageVectors } from '@tagloom/inference'

/** The vectors of these pages as they are stored; a page with nothing to embed has none. */
export function embeddingsOf(pages: readonly PageToEmbed[], made: PageVectors, dims: number): PageEmbedding[] {
  return pages.map(({ pageId, contentHash }, k) => {
    const tokens = made.tokens[k]!
    const vector = tokens === 0 ? null : made.vectors.subarray(k * dims, (k + 1) * dims)
    return { pageId, contentHash, tokens, vector }
  })
}
