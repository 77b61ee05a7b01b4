import { tagForm } from '@tagloom/contracts'
import {
  bundledCosines,
  type ClusterLayer,
  cosinesTo,
  type LabelEvidence,
  languageOfPages,
  type MeaningCosines,
  PhraseCounts,
  pageFields,
  pagePhrases,
  rankPhrases,
  standOut,
} from '@tagloom/kernels'

export interface GoldPage {
  readonly title: string
  readonly text: string
  /** Its class; '' where it has none */
  readonly label: string
}

type Layer = Pick<ClusterLayer, 'labels' | 'clusters' | 'centroids'>

export interface PagesInClusters {
  readonly pages: readonly GoldPage[]
  readonly layers: readonly Layer[]
  readonly dims: number
}

/** A label of a cluster: what speaks for it on one half of the pages, and whether the other half bears it out. */
export interface Judged {
  readonly kind: 'keyphrases' | 'given'
  readonly evidence: LabelEvidence
  readonly right: boolean
}

/**
 * Odds of a class, at least, as multiple of its odds everywhere, for a cluster or a label to be about it. Of a small class that is three
 * times as common; three times as common as a class of 74 % of all pages nothing can be.
 */
const ENRICHED = 3
/** Held-out pages below which a share means nothing */
const LEAST_HELD_OUT = 4
const CANDIDATES = 40
const LABELS = 15

type Embed = (labels: string[]) => Promise<Float32Array>

export interface Judging {
  /** Names of the classes, by class: labels that are given rather than found */
  readonly names: ReadonlyMap<string, string>
  /** Share of a cluster's pages that one class must have to say what the cluster's keyphrases are about */
  readonly topicShare: number
  /** Of the model that embeds */
  readonly meaning: MeaningCosines
}

export async function judgedLabels(
  of: PagesInClusters,
  { names, topicShare, meaning }: Judging,
  embed: Embed,
): Promise<Judged[]> {
  const given = [...names].map(([label, name]) => ({ label, name, form: tagForm(name) }))
  const read = readPhrases(of.pages)
  const givenVectors = await embed(given.map(({ name }) => name))
  const heldOut = new HeldOut(of.pages, read)
  const judged: Judged[] = []
  for (const layer of of.layers) {
    const counts = countEven(layer, read)
    const found = Array.from({ length: layer.clusters }, (_, no) => counts.keyphrases(no, CANDIDATES))
    for (const [no, keyphrases] of found.entries()) {
      const members = [...of.pages.keys()].filter((row) => row % 2 === 1 && layer.labels[row] === no)
      if (members.length < LEAST_HELD_OUT) continue
      const standing = { centroids: layer.centroids, cluster: no, dims: of.dims, meaning }
      const topic = heldOut.topicOf(
        [...of.pages.keys()].filter((row) => row % 2 === 0 && layer.labels[row] === no),
        topicShare,
      )
      const vectors = await embed(keyphrases.map(({ label }) => label))
      for (const phrase of rankPhrases({ ...standing, keyphrases, vectors, limit: LABELS })) {
        const sayers = heldOut.sayers(phrase.form)
        if (topic === undefined || sayers.length < LEAST_HELD_OUT) continue
        judged.push({ kind: 'keyphrases', evidence: phrase, right: heldOut.isEnriched(topic, sayers) })
      }
      for (const [row, { label, form }] of given.entries()) {
        const cosines = bundledCosines(cosinesTo(layer.centroids, givenVectors, row, of.dims), meaning)
        const evidence = { ...counts.sharesOf(no, form), ...standOut(cosines)(no) }
        judged.push({ kind: 'given', evidence, right: heldOut.isEnriched(label, members) })
      }
    }
  }
  return judged
}

type Phrases = ReturnType<typeof pagePhrases>['phrases']

function readPhrases(pages: readonly GoldPage[]): Phrases[] {
  const fields = pages.map(({ title, text }) => pageFields(title, text))
  let language = languageOfPages(fields.slice(0, 200))
  return fields.map((one) => {
    const read = pagePhrases(one, language)
    language = read.language
    return read.phrases
  })
}

function countEven(layer: Layer, read: readonly Phrases[]): PhraseCounts {
  const counts = new PhraseCounts(Array.from({ length: layer.clusters }, (_, no) => ({ no, layer: 0 })))
  for (let row = 0; row < read.length; row += 2) {
    const label = layer.labels[row]!
    counts.addPage(read[row]!, label < 0 ? [] : [label])
  }
  return counts
}

/** The pages of odd rows, of which no evidence is taken. */
class HeldOut {
  #pages: readonly GoldPage[]
  #rowsOfForm = new Map<string, number[]>()
  #counts: ReadonlyMap<string, number>
  #total = 0

  constructor(pages: readonly GoldPage[], read: readonly Phrases[]) {
    this.#pages = pages
    const rows = [...pages.keys()].filter((row) => row % 2 === 1)
    this.#counts = this.#classesOf(rows)
    this.#total = rows.length
    for (const row of rows) {
      for (const form of read[row]!.keys()) {
        const known = this.#rowsOfForm.get(form)
        if (known) known.push(row)
        else this.#rowsOfForm.set(form, [row])
      }
    }
  }

  sayers(form: string): readonly number[] {
    return this.#rowsOfForm.get(form) ?? []
  }

  /** The commonest class of the rows, which are not held out, where they are about it; undefined where their classes tell no topic. */
  topicOf(rows: readonly number[], leastShare: number): string | undefined {
    const classes = [...this.#classesOf(rows)].filter(([label]) => label !== '')
    const [label, count] = classes.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0] ?? ['', 0]
    return count > 0 && count >= leastShare * rows.length && this.isEnriched(label, rows) ? label : undefined
  }

  isEnriched(label: string, rows: readonly number[]): boolean {
    const count = this.#classesOf(rows).get(label) ?? 0
    const everywhere = this.#counts.get(label) ?? 0
    return count > 0 && count * (this.#total - everywhere) >= ENRICHED * everywhere * (rows.length - count)
  }

  #classesOf(rows: readonly number[]): Map<string, number> {
    const counts = new Map<string, number>()
    for (const row of rows) counts.set(this.#pages[row]!.label, (counts.get(this.#pages[row]!.label) ?? 0) + 1)
    return counts
  }
}
