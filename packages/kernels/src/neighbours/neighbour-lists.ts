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

/** Similarity of an empty place */
export const none = -2

/** Empties the given lists: whatever they held, they hold none. */
export function emptyLists(lists: NeighbourLists): NeighbourLists {
  lists.indices.fill(-1)
  lists.similarities.fill(none)
  lists.least.fill(none)
  return lists
}

export function newLists(pages: number, k: number): NeighbourLists {
  const [indices, similarities] = [new Int32Array(pages * k), new Float32Array(pages * k)]
  return emptyLists({ k, indices, similarities, least: new Float32Array(pages) })
}

/** Takes a neighbour in, which must be better than the last, unless it is there already. (`$offer` in row-kernels.wat is the same.) */
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

/** Copies of what the lists hold, so that the memory in which they were filled can go. */
export function finished({ k, indices, similarities }: NeighbourLists, recall: number): Neighbours {
  const values = similarities.slice()
  for (let at = 0; at < indices.length; at++) if (indices[at]! < 0) values[at] = 0
  return { k, indices: indices.slice(), similarities: values, recall }
}
