import { cosine } from './cosine.ts'

/**
 * Rows of members that show what a cluster is: the `central` nearest to its centroid, then `spread` ones, each the farthest from all
 * that were taken (Gonzalez, 1985), so that a model sees its core and its width.
 * @param vectors of the members, unit length
 */
export function pickExemplars(
  vectors: readonly Float32Array[],
  centroid: Float32Array,
  counts: { readonly central: number; readonly spread: number },
): number[] {
  const byCentrality = [...vectors.keys()].sort(
    (a, b) => cosine(vectors[b]!, centroid) - cosine(vectors[a]!, centroid) || a - b,
  )
  const taken = byCentrality.slice(0, counts.central)
  const left = new Set(byCentrality.slice(counts.central))
  while (left.size > 0 && taken.length < counts.central + counts.spread) {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (const row of left) {
      const nearest = Math.max(...taken.map((other) => cosine(vectors[row]!, vectors[other]!)), -1)
      if (nearest < least) {
        least = nearest
        best = row
      }
    }
    taken.push(best)
    left.delete(best)
  }
  return taken
}
