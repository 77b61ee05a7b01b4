import type { RowMemory } from './row-memory.ts'

/** Nearest neighbours of every page, best first, without the page itself. A row with fewer ends in −1. */
export type Neighbours = {
  /** Neighbours held for each page */
  k: number
  /** [pages × k] row-major page numbers */
  indices: Int32Array
  /** [pages × k] cosine similarities; 0 where there is no neighbour */
  similarities: Float32Array
  /** Share of the true neighbours that are among them, measured on some pages; 1 where every pair was compared */
  recall: number
}

/** Lists that are being filled. Until then empty places have similarity −2, which every neighbour is better than. */
export type NeighbourLists = {
  k: number
  indices: Int32Array
  similarities: Float32Array
  /** Similarity that a neighbour must exceed to be taken in, for each page */
  least: Float32Array
}

const none = -2

export function emptyLists(pages: number, k: number): NeighbourLists {
  return {
    k,
    indices: new Int32Array(pages * k).fill(-1),
    similarities: new Float32Array(pages * k).fill(none),
    least: new Float32Array(pages).fill(none),
  }
}

/** Takes a neighbour in that is better than the last, unless it is there already. */
export function offer(lists: NeighbourLists, page: number, neighbour: number, similarity: number): void {
  const { k, indices, similarities, least } = lists
  const first = page * k
  for (let at = first; at < first + k; at++) if (indices[at] === neighbour) return
  let at = first + k - 1
  while (at > first && similarities[at - 1]! < similarity) {
    indices[at] = indices[at - 1]!
    similarities[at] = similarities[at - 1]!
    at--
  }
  indices[at] = neighbour
  similarities[at] = similarity
  least[page] = similarities[first + k - 1]!
}

/**
 * Offers each of `rows` to each of `columns` and the other way round, by the values in the memory's place for products,
 * [rows × columns] row-major. `firstColumn` is the first column that counts for the row of that number: it lets the half of a
 * symmetric product be left out.
 */
export function offerProducts(
  lists: NeighbourLists,
  memory: RowMemory,
  rows: Int32Array,
  columns: Int32Array,
  firstColumn: (row: number) => number = () => 0,
): void {
  const { least } = lists
  const { products, bounds, numbers } = memory
  const width = columns.length
  for (let j = 0; j < width; j++) bounds[j] = least[columns[j]!]!
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    const first = firstColumn(i)
    const hits = memory.above(i * width + first, first, width - first, least[row]!)
    for (let hit = 0; hit < hits; hit++) {
      const j = first + numbers[hit]!
      const column = columns[j]!
      if (column === row) continue
      const similarity = products[i * width + j]!
      if (similarity > least[row]!) offer(lists, row, column, similarity)
      if (similarity <= bounds[j]!) continue
      offer(lists, column, row, similarity)
      bounds[j] = least[column]!
    }
  }
}

export function finished({ k, indices, similarities }: NeighbourLists, recall: number): Neighbours {
  for (let at = 0; at < indices.length; at++) if (indices[at]! < 0) similarities[at] = 0
  return { k, indices, similarities, recall }
}
