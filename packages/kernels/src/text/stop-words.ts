import lists from 'stopword'

/*
 * Language by stop words: the language most of whose function words a text uses. It decides only which words begin and end no phrase, so
 * near languages (Danish, Norwegian) may be taken for each other without harm.
 */

// biome-ignore format: a table
const languages = [
  'afr', 'ara', 'ben', 'bul', 'cat', 'ces', 'dan', 'deu', 'ell', 'eng', 'epo', 'est', 'eus', 'fas', 'fin', 'fra', 'gle', 'glg', 'heb',
  'hin', 'hrv', 'hun', 'hye', 'ind', 'ita', 'jpn', 'kor', 'lat', 'lav', 'lit', 'mar', 'nld', 'nob', 'pol', 'por', 'ron', 'rus', 'slk',
  'slv', 'som', 'spa', 'swa', 'swe', 'tgl', 'tha', 'tur', 'ukr', 'urd', 'vie', 'zho',
] as const
export type Language = (typeof languages)[number]

/**
 * English words that carry no topic, beyond the usual list: auxiliaries, adverbs, connectives, the furniture of documentation, and verbs
 * that titles begin with ("Increase calldata cost").
 */
const englishMore =
  `able above across actually add added adding additional additionally already also although always among another
anyone anything around available away based basic basically because become becomes before behind being below besides better between beyond
bit both bring build built call called calling calls can't cannot case cases cause certain change changed changes changing check choose
click come comes common completely consider contain contained containing contains correct correctly could couldn't create created creates
creating current currently default define defined defines depending describe described describes description details did didn't different
directly do does doesn't doing don't done due during each easily easy either else enable end enough ensure entire equal especially etc even
ever every everything exactly example examples except exist existing exists expected explicitly far few find fine first fix fixed follow
followed following follows found four full fully further furthermore general generally get gets getting give given gives giving go goes
going good got great had hand handle handled has have having hence her here high higher him his hold how however i'd i'll i'm i've idea
important in include included includes including indeed initial inside instead is isn't it's its itself just keep kept kind know known
large larger last later latest least less let let's like likely line list little long longer look looking lot low lower made main mainly
make makes making many matter may maybe mean means might more moreover most mostly much must my name named namely need needed needs neither
never nevertheless new newly next nice no non none nor not note notes nothing now number obtain obviously off often ok okay old on once one
ones only onto optional optionally or order other others otherwise ought our out over own part particular particularly pass passed past
per perform performed perhaps please possible possibly potentially pre prefer present previous previously prior probably proper properly
provide provided provides providing purpose put quite rather really reason recent recently recommended regarding related relatively
remain remains require required requires respectively rest result resulting results return returned returns right run running runs said
same say says second section see seem seems seen self separate set sets setting several shall short should shouldn't show showed
showing shown shows significant significantly similar similarly simple simply since single small smaller so some somehow someone something
sometimes soon sort specific specifically specified specify start started starting starts still stop such suggest suggested sure take
taken takes taking than thanks that's their theirs them themselves thereby therefore therein thing things think third though three thus
time times today together told took toward towards tried tries true try trying two type types typically under understand unless unlike
until upon us use used useful user uses using usual usually various versus very via want wants was wasn't way ways we'll we're we've well
went weren't what when where which who whom while whatever whenever whereas wherever whether whichever whole whose why wide will wish within without won't word words work
working works would wouldn't write written wrong yes yet you'd you'll you're you've yourself zero eg ie e.g i.e vs cf et al fig
figure table http https www com org html href img src readme todo tbd copyright rights reserved license licence licenses licensed licensing mit bsd author authors draft
january february march april june july august september october november december monday tuesday wednesday thursday friday saturday sunday
allow allows allowed allowing avoid avoids avoiding broken deactivate deprecate deprecates deprecated deprecating disable disables disabled
disabling emit emits emitted emitting enables enabled enabling implement implements implemented implementing improve improves improved
improving increase increases increased increasing install installs installed installing introduce introduces introduced introducing prevent
prevents preventing produce produces produced producing propose proposes proposed proposing reduce reduces reduced reducing remove removes
removed removing replace replaces replaced replacing supported supporting supports willing
click here md png svg jpg gif github badge npm-install`.split(/\s+/)

interface Lists {
  readonly byLanguage: ReadonlyMap<Language, ReadonlySet<string>>
  /** The function words of English alone, without the furniture of English documentation */
  readonly english: ReadonlySet<string>
  readonly languagesOf: ReadonlyMap<string, readonly Language[]>
}

let built: Lists | undefined

function stopLists(): Lists {
  if (built) return built
  const byLanguage = new Map<Language, Set<string>>()
  const languagesOf = new Map<string, Language[]>()
  for (const language of languages) {
    const words = new Set(lists[language].map((word) => word.toLowerCase()))
    for (const word of words) {
      const known = languagesOf.get(word)
      if (known) known.push(language)
      else languagesOf.set(word, [language])
    }
    byLanguage.set(language, words)
  }
  const english = new Set(byLanguage.get('eng'))
  for (const word of englishMore) byLanguage.get('eng')!.add(word)
  built = { byLanguage, english, languagesOf }
  return built
}

/** Words that are looked at, and the least share of them that must be stop words of the language. */
const LOOK_AT = 1500
const LEAST_SHARE = 0.08
const LEAST_HITS = 3
const LEAST_WORDS = 12

/** @returns undefined for a text too short or too much of a list to tell */
export function detectLanguage(words: Iterable<string>): Language | undefined {
  const { languagesOf } = stopLists()
  const hits = new Map<Language, number>()
  let seen = 0
  for (const word of words) {
    if (++seen > LOOK_AT) break
    for (const language of languagesOf.get(withoutElision(word.toLowerCase())) ?? [])
      hits.set(language, (hits.get(language) ?? 0) + 1)
  }
  if (seen < LEAST_WORDS) return undefined
  let best: Language | undefined
  let most = Math.max(LEAST_HITS - 1, LEAST_SHARE * Math.min(seen, LOOK_AT))
  for (const language of languages) {
    const count = hits.get(language) ?? 0
    if (count > most) {
      most = count
      best = language
    }
  }
  return best
}

/** Languages in which an article or preposition is written in one with the next word: "l'eau", "dell'acqua" */
const eliding = new Set<Language | undefined>(['fra', 'ita', 'cat'])
const ELIDED = /^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|un|gl|(?:a|da|de|ne|su|co)ll|quest|quell)'(?=\p{L}{2})/iu
const withoutElision = (word: string): string => word.replace(ELIDED, '')

/** What a phrase begins with where it begins with this word: no elided article. */
export const opening = (word: string, language: Language | undefined): string =>
  eliding.has(language) ? withoutElision(word) : word

/** What a phrase ends with where it ends with this word: no English possessive. */
export const closing = (word: string, language: Language | undefined): string =>
  language === undefined || language === 'eng' ? word.replace(/(?<=\p{L}{2})'s$/u, '') : word

/** content: may begin and end a phrase. connector: may stand inside one ("proof of stake"). stop: stands in none. */
export type WordRole = 'content' | 'connector' | 'stop'

/**
 * Of 889 tags that people gave to pages of six wikis five hold "of", one each "in" and "as", none "for", "to", "on", "by", "at" or "per":
 * what those join ("support for SoapySDR", "files for Linux") is cut out of a sentence.
 */
const ENGLISH_CONNECTOR = 'of'
/** What stands on both sides of "and", "or" and "with" are two topics, or a topic and a remark: in short words of other languages too. */
const coordinators: Partial<Record<Language, readonly string[]>> = {
  cat: ['i', 'o'],
  dan: ['og', 'med'],
  deu: ['und', 'mit'],
  fra: ['et', 'ou'],
  ita: ['e', 'ed', 'o', 'con'],
  nld: ['en', 'of', 'met'],
  nob: ['og', 'med'],
  pol: ['i', 'z'],
  por: ['e', 'ou', 'com'],
  rus: ['и', 'с'],
  spa: ['y', 'e', 'o', 'u', 'con'],
  swe: ['och', 'med'],
  ukr: ['і', 'та', 'з'],
}

/**
 * Role of a word in phrases. English function words count in every language: they are in all technical texts; the furniture of English
 * documentation does not, since it means something elsewhere. In languages other than English the short stop words connect ("taux de
 * change", where "change" is one of those words); in scripts without spaces none does.
 */
export function wordRoles(language: Language | undefined): (lowerCased: string) => WordRole {
  const { byLanguage, english } = stopLists()
  const own = byLanguage.get(language ?? 'eng')!
  const parting = (language && coordinators[language]) ?? []
  return (word) => {
    if (!own.has(word) && !english.has(word)) return 'content'
    if (parting.includes(word)) return 'stop'
    if (word === ENGLISH_CONNECTOR) return 'connector'
    return language !== undefined && language !== 'eng' && word.length <= 3 ? 'connector' : 'stop'
  }
}
