/**
 * What a page says, apart by place: Markdown, MediaWiki or HTML in, plain text out. Code blocks, addresses, e-mail, hashes, comments and
 * tables of contents are left out; sections that say nothing of the topic (licence, authors, references) too. In the texts a blank line
 * parts what no phrase may cross.
 */
export interface PageFields {
  readonly title: string
  readonly headings: readonly string[]
  /** Texts of links: what the page itself calls other things */
  readonly links: readonly string[]
  readonly body: string
}

/** Characters of a page that are read: a page of megabytes costs no more than a long one. */
const READ_CHARACTERS = 60_000
const LINKS = 200

const offTopic =
  /^(?:\d+[.)]?\s*)?(licen[cs]es?|copyright.*|authors?|contributors?|maintainers?|credits|acknowledge?ments?|sponsors?|backers|references|bibliography|table of contents|contents|changelog|change log|see also|further reading|support us|donat.*|citation|community|contact|security policy|code of conduct|contributing|people|einzelnachweise|weblinks|lizenz|licence|références|voir aussi|referencias|véase también)[:.]?$/iu

export function pageFields(title: string, text: string): PageFields {
  const links: string[] = []
  const headings: string[] = []
  const body: string[] = []
  let skippedLevel = 0
  for (const line of blocks(withoutMarkup(text.slice(0, READ_CHARACTERS).toWellFormed(), links))) {
    const heading = headingOf(line)
    if (heading) {
      if (skippedLevel > 0 && heading.level > skippedLevel) continue
      skippedLevel = offTopic.test(heading.text) ? heading.level : 0
      if (skippedLevel === 0) headings.push(heading.text)
    } else if (skippedLevel === 0) body.push(line)
  }
  return {
    title: plain(title.toWellFormed().replace(ENTITY, ' ')),
    headings,
    links: links.slice(0, LINKS),
    body: body.join('\n\n'),
  }
}

/** Marks away, texts of links kept and noted. */
function withoutMarkup(source: string, links: string[]): string {
  const noted = (text: string) => {
    const link = text.trim()
    if (link !== '' && link.length < 80 && !link.startsWith('http')) links.push(plain(link))
    return text
  }
  return source
    .replace(/^\uFEFF?(---|\+{3})[ \t]*\r?\n[\s\S]{0,10000}?\n\1[ \t]*(?:\r?\n|$)/, '')
    .replace(/^[ \t]*(`{3,20}|~{3,20})[^\n]*\n[\s\S]*?(?:^[ \t]*\1[ \t]*$|$(?![\s\S]))/gm, '\n\n')
    .replace(/<!--[\s\S]*?(?:-->|$)/g, ' ')
    .replace(/<(script|style|pre|code|svg|math|nowiki|syntaxhighlight|ref)\b[^>]*>[\s\S]*?<\/\1>/gi, '\n\n')
    .replace(/<h([1-6])\b[^>]{0,200}>([^<]{0,300})<\/h\1>/gi, (_, n: string, t: string) => `\n${'#'.repeat(+n)} ${t}\n`)
    .replace(/!\[[^\]\n]{0,500}\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,200}\])/g, ' ')
    .replace(TEMPLATE, '\n\n')
    .replace(TEMPLATE, '\n\n')
    .replace(TEMPLATE, '\n\n')
    .replace(/^[ \t]*(?:\{\||\|[-}+]).*$/gm, '')
    .replace(/\[\[[a-z]{2,3}:[^\]\n]{1,200}\]\]/g, '\n\n')
    .replace(/\[\[[^\]|\n]{0,200}(?:\|[^\]|\n]{0,300}){2,20}\]\]/g, '\n\n')
    .replace(CATEGORY, (_, name: string) => `\n\n${noted(name)}\n\n`)
    .replace(/\[\[(?:[^\]|\n]{0,200}\|)?([^\]|\n]{1,200})\]\]/g, (_, t: string) => noted(t))
    .replace(/\[([^\]\n]{0,300})\](?:\(([^)\n]{0,2000})\)|\[[^\]\n]{0,200}\])/g, (_, t: string, to?: string) =>
      to && toPerson.test(to) ? '\n\n' : noted(t),
    )
    .replace(/^[ \t]*\[[^\]\n]{1,200}\]:.*$/gm, ' ')
    .replace(/<\/?(?:p|div|br|li|ul|ol|tr|td|th|table|dl|dt|dd|hr|details|summary)\b[^>]{0,1000}>/gi, '\n\n')
    .replace(/<\/?[a-z][^>\n]{0,1000}>/gi, ' ')
    .replace(/\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s<>)\]"']+/gi, '\n\n')
    .replace(/\b(?:www\.|mailto:)\S+/gi, '\n\n')
    .replace(/(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,200}/g, '\n\n')
    .replace(/(?<![\p{L}\p{N}])@[\w-]{1,60}(?![\w/-])/gu, '\n\n')
    .replace(/\b(?:0x)?[0-9a-f]{12,}\b/gi, '\n\n')
    .replace(ENTITY, ' ')
    .replace(/:[a-z0-9_+]{2,30}:/g, ' ')
    .replace(/(?<=\S)[*~]{1,3}|[*~]{1,3}(?=\S)|'{2,5}/g, '')
    .replace(/(?<![\p{L}\p{N}_])_{1,2}(?=\S)|(?<=\S)_{1,2}(?![\p{L}\p{N}_])/gu, '')
    .replace(/(?<!`)`{1,3}([^`\n]{1,200})`{1,3}/g, (_, code: string) => (isIdentifier(code.trim()) ? code : '\n\n'))
}

const ENTITY = /&(?:[a-z]{2,8}|#x?[0-9a-f]{1,6});/gi
/** Templates stand in templates: each pass takes the innermost. */
const TEMPLATE = /\{\{[^{}]{0,2000}\}\}/g
const CATEGORY =
  /\[\[(?:category|kategorie|catégorie|categoría|categoria|categorie|kategoria|категория|تصنيف|分类|分類|カテゴリ):([^\]|\n]{1,200})(?:\|[^\]\n]{0,200})?\]\]/giu

/** Addresses of people and of those who collect for them: the link's text is a name, not a topic. */
const toPerson =
  /^(?:mailto:|(?:https?:)?\/\/(?:www\.)?(?:(?:github|gitlab|twitter|x|linkedin|medium|keybase)\.(?:com|io)\/(?:in\/)?@?[\w.-]+\/?$|[^/]*(?:patreon|opencollective|tidelift|ko-fi|paypal)\.))/i

/** A name in code that a reader may know: not an expression, a call or a path. */
const isIdentifier = (code: string): boolean =>
  /^@?[\p{L}_$][\p{L}\p{N}_$]*(?:[-./:#][\p{L}\p{N}_$]+){0,3}\+{0,2}$/u.test(code)

/** Paragraphs (their lines joined), list items, cells and headings, each by itself. */
function* blocks(text: string): Generator<string> {
  let paragraph = ''
  let inList = false
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim()
    const underline = /^(?:={3,}|-{3,})$/.test(line)
    if (underline && paragraph && paragraph.length < 200) {
      yield `${line.startsWith('=') ? '#' : '##'} ${paragraph}`
      paragraph = ''
      continue
    }
    const item = /^(?:[-*+]\s|\d{1,3}[.)]\s)/.test(line)
    const starts = item || line === '' || /^(?:#{1,6}\s|={1,6}[^=].*=$|[-*+>|•]\s?)/.test(line)
    // Indented lines are code, unless they go on with a paragraph or lie in a list.
    const indented = /^(?: {4}|\t)/.test(raw)
    const isCode = indented && !inList && (paragraph === '' || item)
    if (line !== '' && !isCode) inList = item || (inList && /^\s/.test(raw))
    if ((starts || isCode) && paragraph) {
      yield paragraph
      paragraph = ''
    }
    if (line === '' || isCode) continue
    if (/^(?:#{1,6}\s|={1,6}[^=].*=$)/.test(line)) yield line
    else paragraph = paragraph ? `${paragraph} ${line}` : line
  }
  if (paragraph) yield paragraph
}

function headingOf(block: string): { text: string; level: number } | undefined {
  const found = /^(#{1,6})\s+(.{1,200})/.exec(block) ?? /^(={1,6})\s*([^=\s].{0,199}?)\s*=+$/.exec(block)
  if (!found) return undefined
  return { text: plain(found[2]!.replace(/[#\s]+$/, '')), level: found[1]!.length }
}

const plain = (text: string): string =>
  text
    .replace(/[*~`]{1,3}/g, '')
    .replace(/\s+/g, ' ')
    .trim()
