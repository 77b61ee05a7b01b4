/*
 * Figures of topics as lists of words: coherence by normalised pointwise mutual information (Bouma, 2009; Lau et al., EACL 2014) over
 * the documents of the corpus itself, and diversity as the share of different words (Dieng et al., 2020).
 */

/** In which documents each word stands, for the words that are asked about. */
export class WordDocuments {
  readonly documents: number
  #of: ReadonlyMap<string, Uint32Array>

  /** @param documents words of each document; repeats count once */
  constructor(documents: Iterable<Iterable<string>>, wanted: ReadonlySet<string>) {
    const lists = new Map<string, number[]>()
    let at = 0
    for (const words of documents) {
      for (const word of new Set(words)) {
        if (!wanted.has(word)) continue
        const list = lists.get(word)
        if (list) list.push(at)
        else lists.set(word, [at])
      }
      at++
    }
    this.documents = at
    this.#of = new Map([...lists].map(([word, list]) => [word, Uint32Array.from(list)]))
  }

  count(word: string): number {
    return this.#of.get(word)?.length ?? 0
  }

  /** NPMI of two words, −1 (never together) to 1 (never apart). */
  npmi(a: string, b: string): number {
    const both = intersection(this.#of.get(a), this.#of.get(b))
    if (both === 0) return -1
    if (both === this.documents) return 1
    const joint = both / this.documents
    return Math.log((joint * this.documents * this.documents) / (this.count(a) * this.count(b))) / -Math.log(joint)
  }

  /** Mean NPMI over all pairs of the words; NaN below two. */
  coherence(words: readonly string[]): number {
    let sum = 0
    let pairs = 0
    for (let i = 1; i < words.length; i++) {
      for (let j = 0; j < i; j++) {
        sum += this.npmi(words[i]!, words[j]!)
        pairs++
      }
    }
    return sum / pairs
  }
}

function intersection(a: Uint32Array | undefined, b: Uint32Array | undefined): number {
  if (!a || !b) return 0
  let count = 0
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      count++
      i++
      j++
    } else if (a[i]! < b[j]!) i++
    else j++
  }
  return count
}

/** Share of different words among all words of all topics; NaN without any. */
export function topicDiversity(topics: readonly (readonly string[])[]): number {
  const words = topics.flat()
  return new Set(words).size / words.length
}

export interface WordCandidate {
  readonly word: string
  /** Class-based TF-IDF in the topic */
  readonly score: number
}

/**
 * `count` words for each topic, from its candidates by class-based TF-IDF: a word goes to the topic in which it scores most, then words
 * are taken one by one for what they add: their score, and how well they go with the words already taken.
 */
export function topicWords(
  topics: readonly (readonly WordCandidate[])[],
  documents: WordDocuments,
  count = 10,
): string[][] {
  const owner = new Map<string, { topic: number; share: number }>()
  topics.forEach((candidates, topic) => {
    for (const { word, score } of candidates) {
      const known = owner.get(word)
      if (!known || score > known.share) owner.set(word, { topic, share: score })
    }
  })
  return topics.map((candidates, topic) => {
    const own = candidates.filter(({ word }) => owner.get(word)!.topic === topic)
    const enough =
      own.length >= count ? own : [...own, ...candidates.filter(({ word }) => owner.get(word)!.topic !== topic)]
    return coherentWords(enough, documents, count)
  })
}

/** Part of coherence against part of the word's own score. */
const COHERENCE = 0.6

function coherentWords(candidates: readonly WordCandidate[], documents: WordDocuments, count: number): string[] {
  const top = Math.max(...candidates.map(({ score }) => score), Number.MIN_VALUE)
  const left = candidates.map(({ word, score }) => ({ word, own: score / top, together: 0 }))
  const taken: string[] = []
  while (left.length > 0 && taken.length < count) {
    const value = (c: (typeof left)[number]) =>
      taken.length === 0 ? c.own : (1 - COHERENCE) * c.own + (COHERENCE * c.together) / taken.length
    let best = 0
    for (let k = 1; k < left.length; k++) if (value(left[k]!) > value(left[best]!)) best = k
    const [{ word } = { word: '' }] = left.splice(best, 1)
    taken.push(word)
    for (const candidate of left) candidate.together += documents.npmi(word, candidate.word)
  }
  return taken
}
