/**
 * What speaks for a label of a cluster. Coverage: share of the cluster's pages that have it in their text. Precision: share of the pages
 * with it that are in the cluster. Similarity: cosine of label and centroid; lift: the same in standard deviations above the label's
 * mean over the layer's clusters.
 */
export interface LabelEvidence {
  readonly coverage: number
  readonly precision: number
  readonly similarity: number
  readonly lift: number
}

/**
 * How sure a label is for a cluster, 0 to 1, from its words and its meaning. Words alone suffice, meaning alone suffices when it is
 * strong: the greater of the two logistic scores. Coefficients, and what they are worth: "Confidence" in docs/tagging.md.
 */
export function labelConfidence(of: LabelEvidence): number {
  // What all clusters say as much as this one is in its texts without being its topic.
  const telling = of.coverage * sigmoid(1 + 1.5 * of.lift)
  const words = of.coverage === 0 ? 0 : sigmoid(-2 + 3.2 * telling + 0.8 * of.precision + 0.45 * of.lift)
  return Math.max(words, meaningConfidence(of.similarity, of.lift))
}

const meaningConfidence = (similarity: number, lift: number): number => sigmoid(meaningScore(similarity, lift))

const meaningScore = (similarity: number, lift: number): number => -3.6 + 3 * similarity + 0.95 * lift

/** A label fits a cluster from this confidence on. */
export const FITS = 0.5

/** Whether a label that no page of the cluster says fits it, which of ten thousand tags few do: without the price of a confidence. */
export const fitsByMeaning = ({ similarity, lift }: Standing): boolean => meaningScore(similarity, lift) >= 0

/** Cosine of a label to a cluster's centroid, and how much it stands out from the label's cosines to all clusters of the layer. */
export interface Standing {
  readonly similarity: number
  readonly lift: number
}

/**
 * What a label is to each cluster of a layer, from its cosines to them all. Mean and spread are taken once, whatever the number of
 * clusters that are asked for: ten thousand tags are held against thousands of clusters.
 */
export function standOut(cosines: Float32Array): (cluster: number) => Standing {
  let sum = 0
  let squares = 0
  for (const cosine of cosines) {
    sum += cosine
    squares += cosine * cosine
  }
  const mean = sum / cosines.length
  const spread = Math.max(0.02, Math.sqrt(Math.max(0, squares / cosines.length - mean * mean)))
  // A cluster that is alone in its layer has nothing to stand out from; a spread of nothing is no measure.
  const alone = cosines.length < 2
  return (cluster) => {
    const similarity = cosines[cluster]!
    return { similarity, lift: alone ? 0 : (similarity - mean) / spread }
  }
}

/**
 * Cosines of unit vector `row` of `vectors` to each of the unit `centroids` [clusters × dims]. Four clusters at a time, which takes half of
 * the processor time of one after the other: each value of the vector is read once for the four, and no sum waits for another.
 */
export function cosinesTo(centroids: Float32Array, vectors: Float32Array, row: number, dims: number): Float32Array {
  const clusters = centroids.length / dims
  const cosines = new Float32Array(clusters)
  const from = row * dims
  let c = 0
  for (; c + 3 < clusters; c += 4) {
    const [row0, row1, row2, row3] = [c * dims, (c + 1) * dims, (c + 2) * dims, (c + 3) * dims]
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    for (let d = 0; d < dims; d++) {
      const value = vectors[from + d]!
      s0 += value * centroids[row0 + d]!
      s1 += value * centroids[row1 + d]!
      s2 += value * centroids[row2 + d]!
      s3 += value * centroids[row3 + d]!
    }
    cosines[c] = s0
    cosines[c + 1] = s1
    cosines[c + 2] = s2
    cosines[c + 3] = s3
  }
  for (; c < clusters; c++) cosines[c] = dot(vectors, from, centroids, c * dims, dims)
  return cosines
}

export function dot(a: Float32Array, ai: number, b: Float32Array, bi: number, dims: number): number {
  let sum = 0
  for (let d = 0; d < dims; d++) sum += a[ai + d]! * b[bi + d]!
  return sum
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
