import { tagForm } from '@tagloom/contracts'
import { wordTest } from '@tagloom/kernels'
import type { PromptPage } from './prompt.ts'

/** Pages that are shown and have a word, from which on it is no longer that of a few. */
const NOT_FEW = 3
/** Letters from which on a label is also looked for without regard to what stands between them. */
const TELLING_LETTERS = 6

/**
 * The words of a label that one or two of the pages shown to the model say, and that are none of the cluster's own: what a page that
 * addresses the model brings in. A label that stands there with marks between its letters has all its words from there.
 * @param ownWords forms of words that many of the cluster's pages say
 */
export function wordsOfFew(
  shown: readonly PromptPage[],
  ownWords: ReadonlySet<string>,
): (label: string) => readonly string[] {
  const texts = shown.map(({ title, excerpt }) => ` ${tagForm(`${title} . ${excerpt}`)} `)
  const letters = texts.map(lettersOf)
  // Of two pages that are shown, what both say is not one's own.
  const notFew = Math.min(NOT_FEW, shown.length)
  const pagesWith = (form: string) => texts.filter((text) => text.includes(` ${form} `)).length
  return (label) => {
    const form = tagForm(label)
    const compact = lettersOf(form)
    const spelledOut = compact.length >= TELLING_LETTERS && letters.some((text) => text.includes(compact))
    return form.split(' ').filter((word) => {
      if (ownWords.has(word) || !isContent(word)) return false
      const pages = pagesWith(word)
      return pages < notFew && (pages > 0 || spelledOut)
    })
  }
}

const isContent = wordTest(undefined)

const lettersOf = (text: string): string => text.replace(/[^\p{L}\p{N}]/gu, '')
