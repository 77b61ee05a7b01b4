/**
 * The form by which two labels are the same tag: width and case folded, punctuation as spaces, plurals by the S-stemmer
 * (Harman, "How effective is suffixing?", JASIS 42, 1991) with the plurals in -es and the words below that it gets wrong, British spelling
 * as American. Only for comparing, never shown.
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

/** Words that end like plurals where the word without its s is another one: names of things, and French words that do not change. */
const noPlurals = new Set(
  `news aids https nats cors macos windows pandas rails canvas redis kubernetes lens means goods arms glasses customs corps hermes series
   species fils pays cours temps mois bois sens poids avis`.split(/\s+/),
)

function singular(word: string): string {
  if (word.length < 4 || noPlurals.has(word)) return word
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`
  // "caches" and "matches" look alike: both words lose the e that one of them has in the singular.
  if (/(?:ss|x|zz|ch|sh)es?$/.test(word)) return word.replace(/es?$/, '')
  if (/[^aeo]es$/.test(word)) return word.slice(0, -1)
  if (/[^us]s$/.test(word)) return word.slice(0, -1)
  return word
}

function american(word: string): string {
  if (word.length < 5) return word
  return word
    .replace(/(?<!^pr)is(e|ed|er|ing|ation)$/, 'iz$1')
    .replace(/alys(e|ed|er|ing)$/, 'alyz$1')
    .replace(/our(ed|ing)?$/, 'or$1')
    .replace(/(cent|theat|met|lit)re$/, '$1er')
    .replace(/^(cancel|channel|label|level|model|signal|travel|tunnel)l(ed|er|ing)$/, '$1$2')
    .replace(/^(analog|catalog|dialog)ue$/, '$1')
    .replace(/^(def|lic|off)ence$/, '$1ense')
}
