/**
 * The form by which two labels are the same tag: width and case folded, punctuation as spaces, plurals by the S-stemmer
 * (Harman, "How effective is suffixing?", JASIS 42, 1991), British spelling as American. Only for comparing, never shown.
 * A label without letters or digits ("C++" keeps its c, "!!!" has nothing left) falls back to its folded self.
 */
export function tagForm(label: string): string {
  const folded = label.normalize('NFKC').toLowerCase().trim()
  const words = folded
    .replace(/c\+\+/g, 'cplusplus')
    .replace(/([cf])#/g, '$1sharp')
    .split(/[^\p{L}\p{M}\p{N}]+/u)
  return words.filter(Boolean).map(foldWord).join(' ') || folded
}

function foldWord(word: string): string {
  return american(singular(word))
}

function singular(word: string): string {
  if (word.length < 4) return word
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`
  if (/[^aeo]es$/.test(word)) return word.slice(0, -1)
  if (/[^us]s$/.test(word)) return word.slice(0, -1)
  return word
}

function american(word: string): string {
  if (word.length < 5) return word
  return word
    .replace(/is(e|ed|er|ing|ation)$/, 'iz$1')
    .replace(/our(ed|ing)?$/, 'or$1')
    .replace(/(cent|theat|met|lit)re$/, '$1er')
}
