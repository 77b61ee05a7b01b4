/** Pages and characters of one batch: some seconds of embedding, so that progress shows and little is lost with a process. */
const MOST_PAGES = 256
const MOST_CHARACTERS = 200_000
/** A long page costs no more than its windows: this is about what they hold. */
const READ_OF_A_PAGE = 5_000
/** Pages are read whole, whatever they cost: what a batch may take of memory. A longer page is a batch of its own. */
const MOST_CHARACTERS_READ = 20_000_000

/** What one embed batch holds. */
export interface EmbedBatch {
  readonly page_ids: readonly number[]
  /** Pages that all batches of the stage hold together */
  readonly of: number
}

/** Cuts the pages that need a vector into batches of about equal work, in their order. */
export function planEmbedBatches(
  pages: readonly { readonly pageId: number; readonly characters: number }[],
): EmbedBatch[] {
  const batches: number[][] = []
  let batch: number[] = []
  let characters = 0
  let read = 0
  for (const page of pages) {
    const cost = Math.min(page.characters, READ_OF_A_PAGE)
    const full =
      batch.length === MOST_PAGES ||
      characters + cost > MOST_CHARACTERS ||
      read + page.characters > MOST_CHARACTERS_READ
    if (batch.length > 0 && full) {
      batches.push(batch)
      batch = []
      characters = 0
      read = 0
    }
    batch.push(page.pageId)
    characters += cost
    read += page.characters
  }
  if (batch.length > 0) batches.push(batch)
  return batches.map((page_ids) => ({ page_ids, of: pages.length }))
}
