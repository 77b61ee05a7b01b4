import { join } from 'node:path'
import { demoWiki, type WikiSource, wikiAt } from '@tagloom/launcher/testing'

export interface WikiPage {
  readonly id: string
  readonly title: string
  readonly text: string
}

const fewPages = 240
const mostCharacters = 2_000

/**
 * The documentation of the installed packages, which every machine has after an install: pages evenly over it, cut short, so that a busy
 * machine embeds them in half a minute. With `path`, the whole of that folder or .ndjson file.
 * @param mostPages of the documentation
 */
export async function realWiki(path?: string, mostPages = fewPages): Promise<WikiPage[]> {
  const modules = join(import.meta.dirname, '..', '..', 'node_modules')
  const source = path === undefined ? await demoWiki(modules) : await wikiAt(path)
  const chunks: Uint8Array[] = []
  for await (const chunk of source.lines()) chunks.push(chunk)
  const lines = Buffer.concat(chunks).toString().trim().split('\n')
  const pages = lines.map((line) => JSON.parse(line) as WikiPage).filter((page) => page.text !== undefined)
  if (path !== undefined) return pages
  const step = Math.max(1, pages.length / mostPages)
  const kept = Array.from({ length: Math.min(mostPages, pages.length) }, (_, i) => pages[Math.floor(i * step)]!)
  return kept.map((page) => ({ ...page, text: page.text.slice(0, mostCharacters) }))
}

/** The same as something to import. */
export async function realWikiSource(path?: string, mostPages = fewPages): Promise<WikiSource> {
  if (path !== undefined) return wikiAt(path)
  const pages = await realWiki(undefined, mostPages)
  return {
    name: 'documentation',
    pageCount: pages.length,
    async *lines() {
      for (const page of pages) yield Buffer.from(`${JSON.stringify(page)}\n`)
    },
    pageOnLine: (line) => pages[line - 1]!.id,
    reasonOnLine: () => undefined,
    notes: [],
  }
}
