import { tagForm } from '@tagloom/contracts'
import { cosinesTo, dot, type Standing, standOut } from './cluster-confidence.ts'
import type { Proposal, TagReference, ToResolve, VocabularyTag } from './resolve-tags.ts'

/** Cosine from which two labels mean the same. At 0.9 all-MiniLM joins "e-mail" with "email address", and parts "ECDSA" from "EdDSA". */
const SAME_MEANING = 0.9

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

interface Living {
  readonly key: number
  readonly form: string
  readonly vector: Float32Array
}

/** The vocabulary as it grows during the pass. A key is a tag's place: those of the vocabulary first, then new ones. */
export class KnownTags {
  readonly newTags: { label: string; form: string; source: 'keyphrases' | 'llm' }[] = []
  readonly merged: { label: string; form: string; into: TagReference }[] = []
  #vocabulary: readonly VocabularyTag[]
  #vectorOf: (label: string) => Float32Array
  /** Key a form stands for; null: rejected */
  #byForm = new Map<string, number | null>()
  #living: Living[] = []
  #rejected: Float32Array[] = []
  #approved = new Map<Layer, readonly Approved[]>()

  constructor(of: ToResolve) {
    this.#vocabulary = of.vocabulary
    this.#vectorOf = of.vectorOf
    const keyOf = new Map(of.vocabulary.map((tag, key) => [tag.id, key]))
    of.vocabulary.forEach((tag, key) => {
      const target = tag.status === 'merged' ? keyOf.get(tag.mergedInto ?? -1) : key
      const dead = target === undefined || of.vocabulary[target]!.status === 'rejected'
      this.#remember(tag.form, dead ? null : target)
      if (tag.status === 'rejected') this.#rejected.push(of.vectorOf(tag.label))
      else if (tag.status !== 'merged') this.#living.push({ key, form: tag.form, vector: of.vectorOf(tag.label) })
    })
  }

  reference(key: number): TagReference {
    const known = this.#vocabulary[key]
    return known ? { id: known.id } : { newTag: key - this.#vocabulary.length }
  }

  approved(layer: Layer): readonly Approved[] {
    const known = this.#approved.get(layer)
    if (known) return known
    const approved = this.#living
      .filter(({ key }) => this.isApproved(key))
      .map(({ key, form, vector }) => ({
        key,
        form,
        standing: standOut(cosinesTo(layer.centroids, vector, 0, layer.dims)),
      }))
    this.#approved.set(layer, approved)
    return approved
  }

  isApproved(key: number): boolean {
    return this.#vocabulary[key]?.status === 'approved'
  }

  /** @returns the key of the tag whose form the label has; undefined where there is none, or it may not come back */
  find(label: string): number | undefined {
    return this.#ofForm(tagForm(label)) ?? undefined
  }

  /** @returns the key of the tag that the proposal stands for, made where need be; undefined when it may not come back */
  take(proposal: Proposal): number | undefined {
    const form = tagForm(proposal.label)
    const known = this.#ofForm(form)
    if (known !== undefined) return known ?? undefined
    const vector = this.#vectorOf(proposal.label)
    if (this.#rejected.some((other) => dot(vector, 0, other, 0, vector.length) >= SAME_MEANING)) return undefined
    const same = this.#nearest(form, vector)
    if (same !== undefined) {
      this.merged.push({ label: proposal.label, form, into: this.reference(same) })
      this.#remember(form, same)
      return same
    }
    const key = this.#vocabulary.length + this.newTags.length
    this.newTags.push({ label: proposal.label, form, source: proposal.method })
    this.#living.push({ key, form, vector })
    this.#remember(form, key)
    return key
  }

  /** null: rejected; undefined: unknown */
  #ofForm(form: string): number | null | undefined {
    return this.#byForm.has(form) ? this.#byForm.get(form) : this.#byForm.get(compact(form))
  }

  #nearest(form: string, vector: Float32Array): number | undefined {
    let best: number | undefined
    let most = SAME_MEANING
    for (const { key, form: otherForm, vector: other } of this.#living) {
      const cosine = dot(vector, 0, other, 0, vector.length)
      if (cosine < most || (best !== undefined && cosine === most)) continue
      // Last, because few come so far: to compare words costs more than the product.
      if (isPart(form, otherForm) || isPart(otherForm, form)) continue
      best = key
      most = cosine
    }
    return best
  }

  /** Under its form and without spaces: "data base" is "database". */
  #remember(form: string, key: number | null): void {
    this.#byForm.set(form, key)
    if (!this.#byForm.has(compact(form))) this.#byForm.set(compact(form), key)
  }
}

/** Of "sailing" and "sailing for beginners" one is broader, however near they are. */
const isPart = (part: string, whole: string): boolean =>
  whole.length > part.length && part.split(' ').every((word) => whole.split(' ').includes(word))

/** Between digits a space stays: "1 10" (1.10) is not "11 0" (11.0). */
const compact = (form: string): string => form.replace(/(?<!\p{N}) | (?!\p{N})/gu, '')
