import { tagForm } from '@tagloom/contracts'
import { cosinesTo, dot, type Standing, standOut } from './cluster-confidence.ts'
import { bundledCosines, type MeaningCosines } from './meaning-cosines.ts'
import type { Proposal, TagReference, ToResolve, VocabularyTag } from './resolve-tags.ts'
import { isBroader, meanTheSame } from './same-meaning.ts'
import { lettersOf, spellTheSame } from './spellings.ts'

/** The centroids of one layer [clusters × dims], and which row is which cluster's. */
export interface Layer {
  readonly centroids: Float32Array
  readonly rowOf: ReadonlyMap<number, number>
  readonly dims: number
}

interface Approved {
  readonly key: number
  readonly form: string
  /** What the tag is to the cluster in a row of the layer's centroids */
  readonly standing: (row: number) => Standing
}

/** A label that a new one may mean, and the tag that it stands for; null: rejected. */
interface Meaning {
  readonly key: number | null
  readonly form: string
  readonly vector: Float32Array
}

/** The vocabulary as it grows during the pass. A key is a tag's place: those of the vocabulary first, then new ones. */
export class KnownTags {
  readonly newTags: { label: string; form: string; source: 'keyphrases' | 'llm' }[] = []
  readonly merged: { label: string; form: string; into: TagReference }[] = []
  #vocabulary: readonly VocabularyTag[]
  #vectorOf: (label: string) => Float32Array
  #meaning: MeaningCosines
  /** Key a form stands for; null: rejected */
  #byForm = new Map<string, number | null>()
  /** The same by the letters of the form */
  #byLetters = new Map<string, Meaning[]>()
  #meanings: Meaning[] = []
  #approved = new Map<Layer, readonly Approved[]>()

  constructor(of: ToResolve) {
    this.#vocabulary = of.vocabulary
    this.#vectorOf = of.vectorOf
    this.#meaning = of.meaning
    const keyOf = new Map(of.vocabulary.map((tag, key) => [tag.id, key]))
    of.vocabulary.forEach((tag, key) => {
      const target = tag.status === 'merged' ? keyOf.get(tag.mergedInto ?? -1) : key
      const dead = target === undefined || of.vocabulary[target]!.status === 'rejected'
      this.#remember(tag.form, dead ? null : target, of.vectorOf(tag.label))
      // What was merged by its meaning is not held against others: one step after the other they would come far from the tag.
      if (tag.status === 'merged' && !tag.mergedByPerson && !dead) return
      this.#meanings.push({ key: dead ? null : target, form: tag.form, vector: of.vectorOf(tag.label) })
    })
  }

  reference(key: number): TagReference {
    const known = this.#vocabulary[key]
    return known ? { id: known.id } : { newTag: key - this.#vocabulary.length }
  }

  approved(layer: Layer): readonly Approved[] {
    const known = this.#approved.get(layer)
    if (known) return known
    const approved = this.#vocabulary.flatMap(({ status, form, label }, key) =>
      status === 'approved' ? [{ key, form, standing: standOut(this.#cosinesTo(layer, label)) }] : [],
    )
    this.#approved.set(layer, approved)
    return approved
  }

  #cosinesTo({ centroids, dims }: Layer, label: string): Float32Array {
    return bundledCosines(cosinesTo(centroids, this.#vectorOf(label), 0, dims), this.#meaning)
  }

  isApproved(key: number): boolean {
    return this.#vocabulary[key]?.status === 'approved'
  }

  /** @returns the key of the tag whose form the label has; undefined where there is none, or it may not come back */
  find(label: string): number | undefined {
    return this.#ofForm(tagForm(label), label) ?? undefined
  }

  /** @returns the key of the tag that the proposal stands for, made where need be; undefined when it may not come back */
  take(proposal: Proposal): number | undefined {
    const form = tagForm(proposal.label)
    const known = this.#ofForm(form, proposal.label)
    if (known !== undefined) return known ?? undefined
    const vector = this.#vectorOf(proposal.label)
    const same = this.#nearest(form, vector)
    if (same === null) return undefined
    if (same !== undefined) {
      this.merged.push({ label: proposal.label, form, into: this.reference(same) })
      this.#remember(form, same, vector)
      return same
    }
    const key = this.#vocabulary.length + this.newTags.length
    this.newTags.push({ label: proposal.label, form, source: proposal.method })
    this.#meanings.push({ key, form, vector })
    this.#remember(form, key, vector)
    return key
  }

  /** What the form stands for, or another spelling of it, the nearest first. null: rejected; undefined: unknown */
  #ofForm(form: string, label: string): number | null | undefined {
    const known = this.#byForm.get(form)
    const spelled = known === undefined ? this.#byLetters.get(lettersOf(form)) : undefined
    if (spelled === undefined) return known
    const vector = this.#vectorOf(label)
    const same = spelled.filter((other) => spellTheSame(vector, other.vector, this.#meaning.sameSpelling))
    const nearness = (of: Meaning) => dot(vector, 0, of.vector, 0, vector.length)
    return same.sort((a, b) => nearness(b) - nearness(a))[0]?.key
  }

  /**
   * What the label that means the same, most nearly, stands for. A rejected tag takes narrower labels with it ("sailing trips" with
   * "sailing"); a living one is not the same as what is broader or narrower.
   */
  #nearest(form: string, vector: Float32Array): number | null | undefined {
    let nearest: number | null | undefined
    let most = 0
    for (const { key, form: other, vector: of } of this.#meanings) {
      const cosine = dot(vector, 0, of, 0, vector.length)
      // Words last, because few come so far: to compare them costs more than the product.
      if (
        cosine <= most ||
        !meanTheSame(cosine, this.#meaning.same, form, other) ||
        (key !== null && isBroader(form, other))
      )
        continue
      nearest = key
      most = cosine
    }
    return nearest
  }

  #remember(form: string, key: number | null, vector: Float32Array): void {
    this.#byForm.set(form, key)
    const letters = lettersOf(form)
    const spelled = this.#byLetters.get(letters)
    if (spelled) spelled.push({ key, form, vector })
    else this.#byLetters.set(letters, [{ key, form, vector }])
  }
}
