/**
 * Raised whenever tagForm gives any label another form: the forms in databases are then made anew when a process starts. The digest in
 * tag-form.test.ts holds whoever changes the rules to it.
 */
export const tagFormVersion = 2

/**
 * The form by which two labels are the same tag: width and case folded, punctuation as spaces, plurals by the S-stemmer
 * (Harman, "How effective is suffixing?", JASIS 42, 1991) with the plurals in -es and the words below that it gets wrong, British spelling
 * as American. Accents stay: "año" is not "ano", and marks that belong to a name: "g++", "B+ tree", "C#", "A*", ".NET" ("HTML+CSS" and
 * "String#split" have none). Only for comparing, never shown.
 * A label without letters or digits ("!!!", emoji) falls back to its folded self.
 */
export function tagForm(label: string): string {
  const folded = label
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\uFE0E|\uFE0F|(?<=i)\u0307/g, '')
    .trim()
  const words = folded
    .replace(/(?<=[\p{L}\p{N}])(?:\+\+|\+(?![\p{L}\p{N}]))/gu, (plus) => 'plus'.repeat(plus.length))
    .replace(/(?<=(?<![\p{L}\p{N}])[cf])#|(?<=\p{L})#(?![\p{L}\p{N}])/gu, 'sharp')
    .replace(/(?<=(?<![\p{L}\p{N}])\p{L})\*(?![\p{L}\p{N}])/gu, 'star')
    .replace(/(?<![\p{L}\p{N}])\.net(?![\p{L}\p{N}])/gu, 'dotnet')
    .split(/[^\p{L}\p{M}\p{N}]+/u)
  return (
    words
      .filter((word) => /[\p{L}\p{N}]/u.test(word))
      .map(foldWord)
      .join(' ') || folded
  )
}

function foldWord(word: string): string {
  return american(singular(word))
}

/** Words that end like plurals where the word without its s is another one: names of things, and French words that do not change. */
const noPlurals = new Set(
  `news aids https nats cors macos windows pandas rails canvas redis kubernetes lens means goods arms glasses customs corps hermes series
   species axis praxis tennis paris texas mars jenkins fils pays cours temps mois bois sens poids avis`.split(/\s+/),
)

/** Plurals that no ending tells. */
const irregular = new Map(
  `analyses analysis|hypotheses hypothesis|syntheses synthesis|theses thesis|diagnoses diagnosis|crises crisis|synopses synopsis|wolves wolf
knives knife|leaves leaf|shelves shelf|halves half|thieves thief|calves calf|loaves loaf|women woman|men man|children child|mice mouse
indices index|vertices vertex|matrices matrix|criteria criterion|phenomena phenomenon|gases gas|buses bus|quizzes quiz|focuses focus`
    .split(/[|\n]/)
    .map((pair) => pair.split(' ') as [plural: string, singular: string]),
)

/** Singulars in -ie, whose plural looks like that of a word in -y. */
const inIe =
  /^(?:aerie|birdie|brownie|calorie|cookie|foodie|genie|goalie|hoodie|indie|junkie|lie|magpie|menagerie|movie|newbie|pie|pixie|prairie|reverie|rookie|selfie|smoothie|sortie|tie|veggie|zombie)s$/

function singular(word: string): string {
  if (word.length < 3) return word
  const known = irregular.get(word)
  if (known !== undefined) return known
  if (word.length < 4 || noPlurals.has(word) || /(?:sis|js)$/.test(word)) return word
  if (inIe.test(word)) return word.slice(0, -1)
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`
  // "caches" and "matches" look alike: both words lose the e that one of them has in the singular.
  if (/(?:ss|x|zz|ch|sh)es?$/.test(word)) return word.replace(/es?$/, '')
  if (/(?:[dilnprst]us|[^aeiou](?<!sh|^[tfhrw]|can|ob)o)es$/.test(word)) return word.slice(0, -2)
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
