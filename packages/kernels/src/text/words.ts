/**
 * Words in runs: a run is a stretch that a phrase may lie in, without punctuation between its words. Names and identifiers stay whole
 * ("node.js", "eth_getLogs", "C++", "proof-of-work", "Dist::Zilla"). Scripts written without spaces are cut by Unicode's dictionaries
 * (Intl.Segmenter).
 */
export interface Run {
  readonly words: readonly string[]
  /** What stands between the words when they are shown as a phrase: '' in scripts without spaces */
  readonly glue: '' | ' '
}

const WORD = /[\p{L}\p{N}$_](?:[\p{L}\p{M}\p{N}_$]|(?:[-.'’]|::)(?=[\p{L}\p{N}]))*(?:\+\+|#(?![\p{L}\p{N}]))?/gu
/** Scripts that are written without spaces between words */
const SPACELESS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
/** No word of a language is longer; what is, is data. */
const LONGEST_WORD = 40

export function* wordRuns(text: string): Generator<Run> {
  let words: string[] = []
  let end = 0
  for (const match of text.matchAll(WORD)) {
    const gap = text.slice(end, match.index)
    const breaks = words.length > 0 && !/^[ \t\u00a0]*$/.test(gap) && !/^[ \t]?\n(?!\n)[ \t]*$/.test(gap)
    end = match.index + match[0].length
    if (breaks && words.length) {
      yield { words, glue: ' ' }
      words = []
    }
    if (SPACELESS.test(match[0])) {
      if (words.length) yield { words, glue: ' ' }
      words = []
      yield* spacelessRuns(match[0])
    } else if (match[0].length > LONGEST_WORD) {
      if (words.length) yield { words, glue: ' ' }
      words = []
    } else words.push(match[0].replaceAll('’', "'"))
  }
  if (words.length) yield { words, glue: ' ' }
}

let segmenter: Intl.Segmenter | undefined

function* spacelessRuns(text: string): Generator<Run> {
  segmenter ??= new Intl.Segmenter('und', { granularity: 'word' })
  const words: string[] = []
  for (const { segment, isWordLike } of segmenter.segment(text.slice(0, 2000))) if (isWordLike) words.push(segment)
  if (words.length) yield { words, glue: '' }
}

/** Whether a phrase stands in a longer one as whole words; in scripts without spaces, as it is written. */
export const standsIn = (phrase: string, longer: string): boolean =>
  ` ${longer} `.includes(` ${phrase} `) || (SPACELESS.test(phrase) && longer.includes(phrase))
