import type { PageInput } from '@tagloom/contracts'
import { parse } from 'yaml'

const FRONT_MATTER = /^---[ \t]*\r?\n(.*?)(?:^|\r?\n)---[ \t]*(?:\r?\n|$)/s

/**
 * A Markdown file as a page. Front matter gives title and tags (a list, or words parted by commas) and is no part of the
 * text; what is not YAML stays text. Without a title: the first heading of level 1, else the file's name.
 */
export function markdownPage(id: string, source: string): PageInput {
  const { meta, text } = splitFrontMatter(source.replace(/^\uFEFF/, ''))
  const title = textOf(meta.title) ?? firstHeading(text) ?? fileName(id)
  const tags = tagsOf(meta.tags)
  return { id, title: title.slice(0, 500), text, ...(tags.length > 0 && { tags }) }
}

function splitFrontMatter(source: string): { meta: Record<string, unknown>; text: string } {
  const found = FRONT_MATTER.exec(source)
  if (found === null) return { meta: {}, text: source }
  try {
    // maxAliasCount: a front matter of nested aliases must not grow without bound.
    const meta: unknown = parse(found[1] ?? '', { maxAliasCount: 20, logLevel: 'error' })
    if (meta === null) return { meta: {}, text: source.slice(found[0].length) }
    if (typeof meta !== 'object' || Array.isArray(meta)) return { meta: {}, text: source }
    return { meta: meta as Record<string, unknown>, text: source.slice(found[0].length) }
  } catch {
    return { meta: {}, text: source }
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

function tagsOf(value: unknown): string[] {
  const words = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : []
  const labels = words.map((word) => textOf(word)?.replace(/^#/, '')).filter((word) => word !== undefined)
  return [...new Set(labels)].filter((label) => label.length > 0 && label.length <= 200).slice(0, 200)
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
