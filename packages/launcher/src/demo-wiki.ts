import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { markdownPage } from './markdown-page.ts'
import { byCodeUnits, markdownFiles, pagesOf, type WikiSource, WikiSourceError } from './wiki-source.ts'

const README = /^readme\.(md|markdown)$/i
const DOCS = /^(docs?|documentation)$/i

/**
 * The documentation of the packages that the install put on this disk: READMEs and docs folders, one page a file, named
 * `package/path`. Changelogs, licences and the like are left out, since they tell of versions and not of a subject. Of a
 * package in several versions the last in order counts; of files with equal content the first.
 */
export async function demoWiki(modules: string, name = 'demo'): Promise<WikiSource> {
  const pages: { id: string; file: string }[] = []
  for (const [packageName, folder] of [...(await packages(join(modules, '.pnpm')))].sort(([a], [b]) =>
    byCodeUnits(a, b),
  )) {
    for (const file of await documentation(folder)) {
      pages.push({ id: `${packageName}/${relative(folder, file).split(sep).join('/')}`, file })
    }
  }
  const different = await withoutCopies(pages)
  if (different.length === 0) throw new WikiSourceError(`Expected documentation of packages in ${modules}, found none.`)
  return pagesOf(name, different, (id, text) => {
    const page = markdownPage(id, text)
    // Many a README has no heading: its package is its title.
    return /^readme$/i.test(page.title) ? { ...page, title: packageOf(id) } : page
  })
}

function packageOf(id: string): string {
  const [first = id, second] = id.split('/')
  return first.startsWith('@') && second !== undefined ? `${first}/${second}` : first
}

/** Package name → folder; in pnpm's store each real folder is a package, each link one of its dependencies. */
async function packages(store: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const version of (await readdir(store).catch(() => [])).sort(byCodeUnits)) {
    const folder = join(store, version, 'node_modules')
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      if (!entry.name.startsWith('@')) {
        found.set(entry.name, join(folder, entry.name))
        continue
      }
      for (const scoped of await readdir(join(folder, entry.name), { withFileTypes: true })) {
        if (scoped.isDirectory()) found.set(`${entry.name}/${scoped.name}`, join(folder, entry.name, scoped.name))
      }
    }
  }
  return found
}

async function documentation(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile() && README.test(entry.name)) found.push(join(folder, entry.name))
    if (entry.isDirectory() && DOCS.test(entry.name)) found.push(...(await markdownFiles(join(folder, entry.name))))
  }
  return found
    .filter((file) => !/(^|[/\\])(changelog|changes|history|license|licence)[^/\\]*$/i.test(file))
    .sort(byCodeUnits)
}

async function withoutCopies(pages: { id: string; file: string }[]): Promise<typeof pages> {
  const seen = new Set<string>()
  const kept: typeof pages = []
  for (const page of pages) {
    const content = await readFile(page.file)
    const hash = createHash('sha256').update(content).digest('base64')
    if (content.length === 0 || seen.has(hash)) continue
    seen.add(hash)
    kept.push(page)
  }
  return kept
}
