import { type PageInput, pageLimits } from '@tagloom/contracts'
import { parse } from 'yaml'

/** Longer than any that people write. Reading YAML takes time by the square of a map's keys: 100,000 of them took minutes. */
const LONGEST_FRONT_MATTER = 100_000
const FRONT_MATTER = /^---[ \t]*\r?\n(.*?)(?:^|\r?\n)---[ \t]*(?:\r?\n|$)/s

/**
 * A Markdown file as a page. Front matter gives title and tags (a list, or words parted by commas) and is no part of the
 * text; what is not YAML stays text, and `tell` hears why. Without a title: the first heading of level 1, else the file's name.
 */
export function markdownPage(id: string, source: string, tell: (note: string) => void = () => {}): PageInput {
  const { meta, text } = splitFrontMatter(source.replace(/^\uFEFF/, ''), tell)
  const title = textOf(meta.title) ?? firstHeading(text) ?? fileName(id)
  const tags = tagsOf(meta.tags, tell)
  return { id, title: title.slice(0, 500), text, ...(tags.length > 0 && { tags }) }
}

function splitFrontMatter(
  source: string,
  tell: (note: string) => void,
): { meta: Record<string, unknown>; text: string } {
  const found = FRONT_MATTER.exec(source)
  const asText = { meta: {}, text: source }
  if (found === null) return asText
  const yaml = found[1] ?? ''
  if (yaml.length > LONGEST_FRONT_MATTER) {
    tell(`its front matter is taken as text: ${yaml.length} characters, expected ${LONGEST_FRONT_MATTER} at most`)
    return asText
  }
  try {
    // maxAliasCount: a front matter of nested aliases must not grow without bound.
    const meta: unknown = parse(yaml, { maxAliasCount: 20, logLevel: 'error' })
    if (meta === null) return { meta: {}, text: source.slice(found[0].length) }
    // Two rules across the page, with prose or a list between them
    if (typeof meta !== 'object' || Array.isArray(meta)) return asText
    return { meta: meta as Record<string, unknown>, text: source.slice(found[0].length) }
  } catch (error) {
    tell(`its front matter is taken as text, since it is no YAML: ${(error as Error).message.split('\n')[0]}`)
    return asText
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

function tagsOf(value: unknown, tell: (note: string) => void): string[] {
  const listed = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : [value]
  const given = new Set(listed.filter((word) => word !== undefined && word !== null && String(word).trim() !== ''))
  const labels = [...given].map((word) => textOf(word)?.replace(/^#/, '')).filter((word) => word !== undefined)
  const fit = labels.filter((label) => label.length > 0 && label.length <= pageLimits.tagCharacters)
  const tags = [...new Set(fit)].slice(0, pageLimits.tags)
  const lost = given.size - fit.length + Math.max(new Set(fit).size - pageLimits.tags, 0)
  if (lost > 0)
    tell(
      `${lost} of its ${given.size} tags were left out: expected ${pageLimits.tags} at most, each a word or words of up to ${pageLimits.tagCharacters} characters`,
    )
  return tags
}

function firstHeading(text: string): string | undefined {
  let fenced = false
  let previous = ''
  for (const line of text.slice(0, 20_000).split(/\r?\n/)) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced
    const heading = /^=+\s*$/.test(line) ? previous : /^#[ \t]+(.+?)[ \t#]*$/.exec(line)?.[1]
    const title = fenced || heading === undefined ? '' : plain(heading)
    if (title !== '') return title
    previous = line
  }
  return undefined
}

/** Without images, link addresses, tags of HTML and marks of emphasis. */
function plain(markdown: string): string {
  return markdown
    .replace(/!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g, '')
    .replace(/\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/<[^>]*>/g, '')
    .replace(/[`*]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}

function fileName(id: string): string {
  const base = id.split('/').at(-1) ?? id
  return base.replace(/\.[^.]+$/, '') || id
}
