import type { PagePhrase } from '../text/phrases.ts'
import { standsIn } from '../text/words.ts'
import type { WordCandidate } from './coherence.ts'

/** A phrase of a cluster, with what speaks for it. */
export interface Keyphrase {
  readonly label: string
  readonly form: string
  /** Class-based TF-IDF */
  readonly score: number
  /** Share of the cluster's pages that have it */
  readonly coverage: number
  /** Share of them that speak for it as a topic: all that have a phrase or a name, of a plain word only those that are about it */
  readonly support: number
  /** Share of the pages that have it which are in the cluster */
  readonly precision: number
}

export interface ClusterPlace {
  readonly no: number
  readonly layer: number
}

/**
 * Counts phrases over all pages of a job, by cluster; pages of no cluster count as background. Class-based TF-IDF after Grootendorst,
 * "BERTopic" (2022), eq. 1: tf × ln(1 + A / f), with tf and f as sums of page weights (see pagePhrases) instead of raw counts, so that
 * one page that repeats a phrase a hundred times doesn't make a topic of it.
 *
 * Memory is bounded by lossy counting (Manku and Motwani, 2002): whenever more than `mostPhrases` are known, those of the fewest pages
 * are forgotten. The same pages in the same order give the same phrases.
 */
export class PhraseCounts {
  #ids = new Map<string, number>()
  #forms: string[] = []
  #pages: number[] = []
  #weights: number[] = []
  /** Words of each: 1 to 3 */
  #lengths: number[] = []
  /** The one way it is written, or how many pages write it how */
  #surfaces: (Map<string, number> | string | undefined)[] = []
  #clusters: ReadonlyMap<number, ClusterCounts>
  #layers = new Map<number, number>()
  #totalWeight = 0
  #pageCount = 0
  #mostPhrases: number
  #forgetBelow = 2

  constructor(clusters: readonly ClusterPlace[], mostPhrases = 400_000) {
    this.#mostPhrases = mostPhrases
    this.#clusters = new Map(clusters.map(({ no, layer }) => [no, { layer, pages: 0, weight: 0, of: new Map() }]))
    for (const { layer } of clusters) this.#layers.set(layer, (this.#layers.get(layer) ?? 0) + 1)
  }

  /** @param clusterNos the page's cluster in each layer; [] for one in none */
  addPage(phrases: ReadonlyMap<string, PagePhrase>, clusterNos: readonly number[]): void {
    this.#pageCount++
    const clusters = clusterNos.map((no) => {
      const counts = this.#clusters.get(no)
      if (!counts) throw new RangeError(`cluster ${no} is not among those that are counted`)
      counts.pages++
      return counts
    })
    for (const [form, { weight, surface, words }] of phrases) {
      const id = this.#idOf(form, words)
      this.#pages[id] = this.#pages[id]! + 1
      this.#weights[id] = this.#weights[id]! + weight
      this.#totalWeight += weight
      this.#noteSurface(id, surface)
      const about = weight >= ABOUT ? 1 : 0
      for (const counts of clusters) {
        counts.weight += weight
        const known = counts.of.get(id)
        if (known) {
          known.pages++
          known.weight += weight
          known.about += about
        } else counts.of.set(id, { pages: 1, weight, about })
      }
    }
    if (this.#ids.size > this.#mostPhrases) this.#forget()
  }

  /**
   * The cluster's phrases by class-based TF-IDF, best first. Those of a single page count only where the cluster has no more pages than
   * two; a phrase that is nearly always part of a longer one gives way to it.
   */
  keyphrases(clusterNo: number, limit: number): Keyphrase[] {
    const counts = this.#clusters.get(clusterNo)
    if (!counts) throw new RangeError(`cluster ${clusterNo} is not among those that are counted`)
    const averageWeight = this.#totalWeight / Math.max(1, this.#layers.get(counts.layer)!)
    const leastPages = counts.pages <= 2 ? 1 : Math.max(2, Math.ceil(counts.pages * 0.04))
    const found: Scored[] = []
    for (const [id, { pages, weight }] of counts.of) {
      if (pages < leastPages || !this.#distinguishes(id, counts, pages)) continue
      const idf = Math.log1p(averageWeight / this.#weights[id]!)
      found.push({ id, pages, form: this.#forms[id]!, score: (weight / counts.weight) * idf })
    }
    found.sort((a, b) => b.score - a.score || (a.form < b.form ? -1 : 1))
    return withoutParts(found.slice(0, limit * 3))
      .slice(0, limit)
      .map(({ id, form, score }) => {
        const label = this.#label(id)
        return { label, form, score, support: this.#support(id, label, counts), ...this.#shares(id, counts) }
      })
  }

  /** The cluster's single words by class-based TF-IDF, best first. */
  words(clusterNo: number, limit: number): WordCandidate[] {
    const counts = this.#clusters.get(clusterNo)
    if (!counts) throw new RangeError(`cluster ${clusterNo} is not among those that are counted`)
    const averageWeight = this.#totalWeight / Math.max(1, this.#layers.get(counts.layer)!)
    const words: WordCandidate[] = []
    for (const [id, { pages, weight }] of counts.of) {
      const word = this.#forms[id]!
      if (this.#lengths[id]! > 1 || (pages < 2 && counts.pages > 2)) continue
      words.push({ word, score: (weight / counts.weight) * Math.log1p(averageWeight / this.#weights[id]!) })
    }
    return words.sort((a, b) => b.score - a.score || (a.word < b.word ? -1 : 1)).slice(0, limit)
  }

  /** Coverage and precision of a form in a cluster; zeros where none of its pages has it. */
  sharesOf(clusterNo: number, form: string): { coverage: number; precision: number } {
    const id = this.#ids.get(form)
    const counts = this.#clusters.get(clusterNo)
    return id === undefined || !counts ? { coverage: 0, precision: 0 } : this.#shares(id, counts)
  }

  #shares(id: number, counts: ClusterCounts): { coverage: number; precision: number } {
    const pages = counts.of.get(id)?.pages ?? 0
    return { coverage: pages / Math.max(1, counts.pages), precision: pages / this.#pages[id]! }
  }

  #support(id: number, label: string, counts: ClusterCounts): number {
    const { pages, about } = counts.of.get(id)!
    return (this.#lengths[id]! > 1 || isName(label) ? pages : about) / counts.pages
  }

  /** Clearly more frequent inside than outside: what all of a wiki's pages say names none of its parts. */
  #distinguishes(id: number, counts: ClusterCounts, pages: number): boolean {
    const outside = this.#pageCount - counts.pages
    if (outside === 0) return true
    return pages / counts.pages >= LEAST_RATIO * ((this.#pages[id]! - pages) / outside)
  }

  /** Most phrases are written in one way: a map is made for the second one only. */
  #noteSurface(id: number, surface: string): void {
    const known = this.#surfaces[id]
    if (known === undefined || known === surface) this.#surfaces[id] = surface
    else if (typeof known !== 'string') {
      if (known.size < 8 || known.has(surface)) known.set(surface, (known.get(surface) ?? 0) + 1)
    } else {
      this.#surfaces[id] = new Map([
        [known, this.#pages[id]! - 1],
        [surface, 1],
      ])
    }
  }

  #idOf(form: string, words: number): number {
    let id = this.#ids.get(form)
    if (id === undefined) {
      id = this.#forms.length
      this.#ids.set(form, id)
      this.#forms.push(form)
      this.#lengths.push(words)
      this.#pages.push(0)
      this.#weights.push(0)
      this.#surfaces.push(undefined)
    }
    return id
  }

  /** As most pages write it; without capitals where a fair part of them does without. */
  #label(id: number): string {
    const known = this.#surfaces[id]
    if (known === undefined || typeof known === 'string') return known ?? this.#forms[id]!
    const surfaces = [...known].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    const total = surfaces.reduce((sum, [, count]) => sum + count, 0)
    const lower = surfaces.find(([surface]) => surface === surface.toLowerCase())
    return lower && lower[1] >= total * 0.2 ? lower[0] : (surfaces[0]?.[0] ?? this.#forms[id]!)
  }

  #forget(): void {
    while (this.#ids.size > this.#mostPhrases / 2) {
      for (const [form, id] of this.#ids) if (this.#pages[id]! < this.#forgetBelow) this.#ids.delete(form)
      if (this.#ids.size > this.#mostPhrases / 2) this.#forgetBelow++
    }
    this.#compact()
  }

  /** Gives the ids of forgotten phrases away, so that the arrays don't grow with all that was ever seen. */
  #compact(): void {
    const moved = new Map<number, number>()
    const old = {
      lengths: this.#lengths,
      pages: this.#pages,
      weights: this.#weights,
      surfaces: this.#surfaces,
    }
    this.#forms = []
    this.#lengths = []
    this.#pages = []
    this.#weights = []
    this.#surfaces = []
    for (const [form, id] of this.#ids) {
      moved.set(id, this.#forms.length)
      this.#forms.push(form)
      this.#lengths.push(old.lengths[id]!)
      this.#pages.push(old.pages[id]!)
      this.#weights.push(old.weights[id]!)
      this.#surfaces.push(old.surfaces[id])
    }
    for (const [form, id] of this.#ids) this.#ids.set(form, moved.get(id)!)
    for (const counts of this.#clusters.values()) {
      const kept = new Map<number, PhraseInCluster>()
      for (const [id, count] of counts.of) {
        const now = moved.get(id)
        if (now !== undefined) kept.set(now, count)
      }
      counts.of = kept
    }
  }
}

/** Times as frequent in a cluster as outside, at least, for a phrase to speak for it. */
const LEAST_RATIO = 1.8

/**
 * Weight of a phrase from which a page is about it, where others mention it (see pagePhrases): it stands in the title or a heading, or four
 * times in the text.
 */
const ABOUT = 1.5

/** Written as no plain word is, with a capital, digit or mark inside ("eth_call", "OAuth2", "SSTORE", "node.js"): it names one thing. */
const isName = (label: string): boolean => /[\p{L}\p{N}$_].*[\p{Lu}\p{N}_$.:#+]/u.test(label)

interface Scored {
  readonly id: number
  readonly form: string
  readonly pages: number
  readonly score: number
}

interface ClusterCounts {
  readonly layer: number
  pages: number
  weight: number
  of: Map<number, PhraseInCluster>
}

interface PhraseInCluster {
  pages: number
  weight: number
  /** Pages that are about it */
  about: number
}

/** Of "stake" and "proof of stake" with nearly the same pages, the longer. */
function withoutParts(best: readonly Scored[]): Scored[] {
  return best.filter(
    ({ form, pages }) =>
      !best.some(
        (other) => other.form.length > form.length && other.pages >= pages * 0.75 && standsIn(form, other.form),
      ),
  )
}
