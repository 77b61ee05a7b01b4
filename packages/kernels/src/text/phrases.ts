import { tagForm } from '@tagloom/contracts'
import type { PageFields } from './page-fields.ts'
import { closing, detectLanguage, type Language, opening, type WordRole, wordRoles } from './stop-words.ts'
import { type Run, wordRuns } from './words.ts'

/** A phrase of a page: how much the page is about it, by where and how often it stands there. */
export interface PagePhrase {
  weight: number
  /** As the page writes it first, running text before links, headings and title */
  surface: string
  /** 1 to 3 */
  readonly words: number
}

export interface PagePhrases {
  readonly language: Language | undefined
  /** By form: see tagForm of the contracts */
  readonly phrases: Map<string, PagePhrase>
}

/** Phrases that are kept of a page, the heaviest: bounds the work of a page of any length. */
const MOST_PHRASES = 1500
const placeWeights = { title: 3, heading: 1.5, link: 0.5 } as const

/**
 * Phrases of 1 to 3 words: none crosses punctuation, begins or ends with a stop word, or holds a number, date or hash.
 * Weight: ln(1 + occurrences in running text) + 3 in the title + 1.5 in a heading + 0.5 as a link.
 * @param fallback language where the page is too short to tell
 */
export function pagePhrases(fields: PageFields, fallback?: Language): PagePhrases {
  const body = [...wordRuns(fields.body)]
  const language = detectLanguage(body.flatMap((run) => run.words)) ?? fallback
  const reader = new PhraseReader(knownWords(language))
  for (const run of body) reader.read(run, 'body')
  for (const link of new Set(fields.links)) for (const run of wordRuns(link)) reader.read(run, 'link')
  for (const heading of fields.headings) for (const run of topical(heading)) reader.read(run, 'heading')
  for (const run of topical(fields.title)) reader.read(run, 'title')
  return { language, phrases: reader.weighted() }
}

/**
 * The language of pages taken together, titles and leads: the one to fall back on for pages of a title or a line, none of which tells it.
 * @returns undefined where they do not tell it together either
 */
export function languageOfPages(pages: Iterable<PageFields>): Language | undefined {
  return detectLanguage(wordsOf(pages))
}

const LEAD_CHARACTERS = 300

function* wordsOf(pages: Iterable<PageFields>): Generator<string> {
  for (const { title, body } of pages)
    for (const run of wordRuns(`${title}\n\n${body.slice(0, LEAD_CHARACTERS)}`)) yield* run.words
}

/** Whether a single word may name a topic: no stop word of the language (or English), no number, date or single letter. */
export function wordTest(language: Language | undefined): (lowerCased: string) => boolean {
  const roleOf = wordRoles(language)
  return (word) => !isData(word) && roleOf(word) === 'content'
}

/** A heading that is furniture as a whole gives no words. */
const topical = (heading: string): Iterable<Run> => (furniture.has(tagForm(heading)) ? [] : wordRuns(heading))

type Place = 'body' | keyof typeof placeWeights
interface Found {
  body: number
  places: number
  surface: string
  words: number
  seen: Set<Place> | undefined
}

class PhraseReader {
  #known: (word: string) => KnownWord
  #found = new Map<string, Found>()

  constructor(known: (word: string) => KnownWord) {
    this.#known = known
  }

  read(run: Run, place: Place): void {
    const words = run.words.map(this.#known)
    for (let from = 0; from < run.words.length; from++) {
      if (words[from]!.role !== 'content') continue
      let before = ''
      for (let to = from; to < Math.min(run.words.length, from + 3); to++) {
        const word = words[to]!
        if (word.role === 'stop' || (word.role === 'connector' && run.glue === '')) break
        if (word.role === 'content') {
          const last = to === from ? word.alone : word.last
          this.#note(before === '' ? last.form : `${before}${run.glue}${last.form}`, run, from, to, place)
        }
        before = to === from ? word.first.form : `${before}${run.glue}${word.form}`
      }
    }
  }

  #note(form: string, run: Run, from: number, to: number, place: Place): void {
    const known = this.#found.get(form)
    if (known === undefined) {
      if (furniture.has(form) || (to === from && weakAlone.has(form))) return
      if (to === from && form.length < 2 && run.glue === ' ' && !/[+#]$/.test(run.words[from]!)) return
      const found: Found = {
        body: 0,
        places: 0,
        surface: this.#surface(run, from, to),
        words: to - from + 1,
        seen: undefined,
      }
      this.#found.set(form, found)
      this.#count(found, place)
    } else this.#count(known, place)
  }

  #surface(run: Run, from: number, to: number): string {
    const [first, last] = [this.#known(run.words[from]!), this.#known(run.words[to]!)]
    if (from === to) return first.alone.surface
    return [first.first.surface, ...run.words.slice(from + 1, to), last.last.surface].join(run.glue)
  }

  #count(found: Found, place: Place): void {
    if (place === 'body') {
      found.body++
      return
    }
    found.seen ??= new Set()
    if (found.seen.has(place)) return
    found.seen.add(place)
    found.places += placeWeights[place]
  }

  weighted(): Map<string, PagePhrase> {
    let entries = [...this.#found].map(
      ([form, f]) => [form, { weight: Math.log1p(f.body) + f.places, surface: f.surface, words: f.words }] as const,
    )
    if (entries.length > MOST_PHRASES) {
      entries = entries.sort((a, b) => b[1].weight - a[1].weight || (a[0] < b[0] ? -1 : 1)).slice(0, MOST_PHRASES)
    }
    return new Map(entries)
  }
}

/** Furniture of pages, by form: headings that every wiki has, whatever its topic. */
const furniture = new Set(
  `abstract|acknowledgement|acknowledgment|appendix|background|backward compatibility|benefit|caveat|conclusion|copyright waiver|credit
demo|description|disclaimer|documentation|doc|external link|faq|feature|frequently asked question|getting started|goal|guide|implementation
install|installation|introduction|known issue|limitation|motivation|non goal|open question|overview|prerequisite|problem statement
quick start|quickstart|rationale|readme|reference implementation|reference|related link|related work|requirement|roadmap|security contact
security consideration|specification|simple summary|summary|synopsis|table|test case|tip|trade off|tutorial|usage|usage example|welcome`
    .split(/[|\n]/)
    .flatMap((heading) => [heading, tagForm(heading), `${heading}s`]),
)

/** Words that mean something only beside another ("max fee", "version control"), by form. */
const weakAlone = new Set(
  `max|min|maximum|minimum|average|value|parameter|increase|decrease|reduce|definition|variable|version|support|issue|amount|total|length
item|element|entry|project|size|purpose`.split(/[|\n]/),
)

/** Numbers, versions, dates, single letters, placeholders: a phrase stops there. */
const isData = (word: string): boolean =>
  /^[\d.,_-]+(?:[a-z]{0,3}|e\d+)$/i.test(word) ||
  /^v\d[\d.]*$/i.test(word) ||
  /^0x/i.test(word) ||
  (/\d/.test(word) && /^[0-9a-f]{6,}$/i.test(word)) ||
  /^[_$.-]+$/.test(word) ||
  /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]$/u.test(word) ||
  /^(.)\1{2,}$/.test(word)

/** A word as it stands somewhere in a phrase. */
interface Cut {
  readonly surface: string
  /** See tagForm of the contracts; '' where it is not needed */
  readonly form: string
}

interface KnownWord {
  readonly role: WordRole
  readonly form: string
  /** As it begins a phrase, ends one, and is one by itself: "d'intérêt" begins as "intérêt", "user's" ends as "user" */
  readonly first: Cut
  readonly last: Cut
  readonly alone: Cut
}

/** What is known of words, by language: the same words come again and again. Bounded. */
const known = new Map<Language | undefined, Map<string, KnownWord>>()
const MOST_KNOWN = 200_000

function knownWords(language: Language | undefined): (word: string) => KnownWord {
  const words = known.get(language) ?? new Map<string, KnownWord>()
  known.set(language, words)
  const roleOf = wordRoles(language)
  return (word) => {
    let found = words.get(word)
    if (found === undefined) {
      const first = opening(word, language)
      const role = isData(word) ? 'stop' : roleOf(first.toLowerCase())
      const formed = cutter(word, role === 'stop' ? '' : tagForm(word))
      found = {
        role,
        form: formed(word).form,
        first: formed(first),
        last: formed(closing(word, language)),
        alone: formed(closing(first, language)),
      }
      if (words.size >= MOST_KNOWN) words.clear()
      words.set(word, found)
    }
    return found
  }
}

/** Most words are the same wherever they stand: one object. */
function cutter(word: string, form: string): (surface: string) => Cut {
  const whole: Cut = { surface: word, form }
  return (surface) => (surface === word || form === '' ? whole : { surface, form: tagForm(surface) })
}
