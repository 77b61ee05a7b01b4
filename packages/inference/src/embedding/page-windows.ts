/** A page as it is read for embedding. */
export interface Page {
  readonly title: string
  readonly text: string
}

/** One piece of a page that goes through the model, and its part in the page's vector. */
export interface PageWindow {
  readonly text: string
  readonly weight: number
}

/** How a page becomes windows; measured in docs/models.md. */
export interface PageRecipe {
  /** Tokens read of each window, the model's own limit permitting. */
  readonly windowTokens: number
  /** Windows spread evenly over what follows the lead, at most. */
  readonly bodyWindows: number
  /** Put the title before every window, not only before the lead. */
  readonly titleEverywhere: boolean
  /** Weight of the window of title and headings (0: none), of the lead, and of all body windows together. */
  readonly outlineWeight: number
  readonly leadWeight: number
  readonly bodyWeight: number
}

/** Headings are looked for in this many characters, and this many characters of them are read. */
const HEADINGS_WITHIN = 200_000
const OUTLINE_CHARS = 800

/**
 * The windows of a page: one when it is short; else title and headings, the lead, and pieces spread evenly over the rest.
 * `charsPerToken` tells how long a window is in this page's script. Work is bounded whatever the page's length: at most
 * `bodyWindows` + 2 windows are cut. A page with nothing to read has none.
 */
export function pageWindows(page: Page, recipe: PageRecipe, charsPerToken: (sample: string) => number): PageWindow[] {
  const title = beginning(page.title.toWellFormed().trim(), 300)
  const body = withoutLeadingTitle(page.text.toWellFormed().trimEnd(), title)
  if (body.trim() === '') return title === '' ? [] : [{ text: title, weight: 1 }]
  const titled = (text: string) => (title === '' ? text : `${title}\n${text}`)
  const chars = windowChars(body, title, recipe, charsPerToken)
  const [outlineWeight, outline] = recipe.outlineWeight > 0 ? [recipe.outlineWeight, headings(body)] : [0, '']
  if (body.length <= chars) return [{ text: titled(body), weight: 1 }]
  const windows: PageWindow[] = []
  if (outline !== '') windows.push({ text: titled(outline), weight: outlineWeight })
  const lead = cut(body, 0, chars)
  windows.push({ text: titled(lead), weight: recipe.leadWeight })
  const rest = spread(body, lead.length, chars, recipe.bodyWindows)
  for (const text of rest) {
    windows.push({ text: recipe.titleEverywhere ? titled(text) : text, weight: recipe.bodyWeight / rest.length })
  }
  return windows
}

/** Characters that fill a window after the title: never more than fit twice, so that tokenising stays bounded too. */
function windowChars(
  body: string,
  title: string,
  recipe: PageRecipe,
  charsPerToken: (sample: string) => number,
): number {
  if (body.length + title.length < recipe.windowTokens) return body.length
  const perToken = Math.min(8, Math.max(0.3, charsPerToken(body.slice(0, 512))))
  return Math.max(32, Math.floor(recipe.windowTokens * perToken) - title.length)
}

/** Importers often repeat the title as first line or heading; a page must not count it twice. */
function withoutLeadingTitle(text: string, title: string): string {
  const body = text.replace(/^[\s#=*]+/u, '')
  if (title === '' || !body.toLowerCase().startsWith(title.toLowerCase())) return body
  const rest = body.slice(title.length)
  return rest === '' || /^[\s=*#.:]/u.test(rest) ? rest.replace(/^[\s=*#.:]+/u, '') : body
}

/** The page's headings in Markdown, MediaWiki or HTML, one a line. */
function headings(body: string): string {
  const found: string[] = []
  let chars = 0
  for (const match of body.slice(0, HEADINGS_WITHIN).matchAll(HEADING)) {
    const heading = beginning((match[1] ?? match[2] ?? match[3] ?? '').trim(), 120)
    if (heading === '') continue
    found.push(heading)
    chars += heading.length + 1
    if (chars > OUTLINE_CHARS) break
  }
  return found.join('\n')
}

/** What stands between `=` begins with no blank, so that of a line of blanks each is looked at once and not in pairs. */
const HEADING =
  /^#{1,6}[ \t]+([^\n]{1,200})|^={2,6}[^\S\n]*([^=\s][^=\n]{0,199})={2,6}[ \t]*$|<h[1-6][^>\n]{0,100}>([^<\n]{1,200})/gimu

/** `count` pieces of `chars` characters, spread evenly over the text after `from`; fewer where the text is shorter. */
function spread(text: string, from: number, chars: number, count: number): string[] {
  const rest = text.length - from
  const fitting = Math.min(count, Math.ceil(rest / chars))
  if (fitting <= 0) return []
  const step = fitting === 1 ? 0 : (rest - chars) / (fitting - 1)
  const first = fitting === 1 ? Math.max(0, (rest - chars) / 2) : 0
  const pieces: string[] = []
  for (let k = 0; k < fitting; k++) pieces.push(cut(text, from + Math.max(0, Math.floor(first + k * step)), chars))
  return pieces.filter((piece) => piece.trim() !== '')
}

/** Up to `chars` characters from `at`, moved forward to the next white space so that no word is cut in two. */
function cut(text: string, at: number, chars: number): string {
  let start = at
  if (at > 0) {
    const blank = text.slice(at, at + 40).search(/\s/u)
    if (blank >= 0) start = at + blank + 1
    else if (splitsPair(text, at)) start = at + 1
  }
  return beginning(text.slice(start, start + chars + 1), chars)
}

/** At most `chars` UTF-16 units from the beginning; a pair of surrogates stays whole. */
function beginning(text: string, chars: number): string {
  return text.slice(0, splitsPair(text, chars) ? chars - 1 : chars)
}

function splitsPair(text: string, at: number): boolean {
  return at > 0 && text.codePointAt(at - 1)! > 0xffff
}
