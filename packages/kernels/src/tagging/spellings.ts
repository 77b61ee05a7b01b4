import { dot } from './cluster-confidence.ts'
import type { VocabularyTag } from './resolve-tags.ts'

/*
 * Labels of the same letters with spaces or hyphens at other places: mostly spellings of one thing ("e-mail", "email"), at times two things
 * ("re-sign", "resign"). Letters alone do not tell, so the model is asked too.
 */

/** The letters of a form. Between digits a space stays: "1 10" (1.10) is not "11 0" (11.0). */
export const lettersOf = (form: string): string => form.replace(/(?<!\p{N}) | (?!\p{N})/gu, '')

/** @param sameSpelling the model's, see meaning-cosines; labels that it cannot read have no vector, and are told by their letters alone */
export function spellTheSame(a: Float32Array, b: Float32Array, sameSpelling: number): boolean {
  const isUnread = (vector: Float32Array) => vector.every((value) => value === 0)
  return dot(a, 0, b, 0, a.length) >= sameSpelling || isUnread(a) || isUnread(b)
}

export interface Joined {
  readonly id: number
  readonly into: number
}

/**
 * Tags in use that are spellings of one thing, which people or imports gave apart: of those that belong together the approved one stays,
 * of equals the oldest. A tag that a rule has merged once is what people made of it since.
 */
export function joinSpellings(
  vocabulary: readonly VocabularyTag[],
  vectorOf: (label: string) => Float32Array,
  sameSpelling: number,
): Joined[] {
  const inUse = vocabulary.filter(
    ({ status, joinedOnce }) => (status === 'approved' || status === 'proposed') && !joinedOnce,
  )
  const joined: Joined[] = []
  for (const alike of Map.groupBy(inUse, ({ form }) => lettersOf(form)).values()) {
    const stay: VocabularyTag[] = []
    for (const tag of alike.toSorted(byStanding)) {
      const into = stay.find((one) => spellTheSame(vectorOf(one.label), vectorOf(tag.label), sameSpelling))
      if (into) joined.push({ id: tag.id, into: into.id })
      else stay.push(tag)
    }
  }
  return joined
}

const byStanding = (a: VocabularyTag, b: VocabularyTag): number =>
  Number(b.status === 'approved') - Number(a.status === 'approved') || a.id - b.id

/** The vocabulary with tags that were joined as merged ones, and what they stood for as what they stand for now. */
export function withJoined(vocabulary: readonly VocabularyTag[], joined: readonly Joined[]): readonly VocabularyTag[] {
  if (joined.length === 0) return vocabulary
  const goesTo = new Map(joined.map(({ id, into }) => [id, into]))
  return vocabulary.map((tag): VocabularyTag => {
    const mergedInto = goesTo.get(tag.id) ?? goesTo.get(tag.mergedInto ?? -1)
    if (mergedInto !== undefined) return { ...tag, status: 'merged', mergedInto, parentId: null }
    const parentId = goesTo.get(tag.parentId ?? -1) ?? tag.parentId
    return { ...tag, parentId: parentId === tag.id ? null : parentId }
  })
}
