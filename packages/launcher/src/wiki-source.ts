import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, relative, sep } from 'node:path'
import type { PageInput } from '@tagloom/contracts'
import { markdownPage } from './markdown-page.ts'

/** Pages on their way to the gateway, as the NDJSON that its import takes. */
export interface WikiSource {
  /** The same name is the same wiki at the next start. */
  name: string
  /** Pages that there are; undefined where nobody has counted (an .ndjson file of any length). */
  pageCount: number | undefined
  lines(): AsyncIterable<Uint8Array>
  /** Which page stood on a line of the import, counted from 1, for reports. */
  pageOnLine(line: number): string
  /** What was left out before it reached the gateway, with the reason. Whole once `lines()` has ended. */
  skipped: { page: string; reason: string }[]
}

/** A mistake in what was asked for; the message is for the person who asked. */
export class WikiSourceError extends Error {
  override readonly name = 'WikiSourceError'
}

/** The folder or .ndjson file at `path` (absolute). */
export async function wikiAt(path: string, name = nameOf(path)): Promise<WikiSource> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is nothing' : cause.message
    throw new WikiSourceError(`--wiki expects a folder or an .ndjson file; at ${path} ${reason}.`, { cause })
  })
  if (found.isDirectory()) return folderWiki(path, name)
  if (found.isFile() && /\.(ndjson|jsonl)$/.test(path)) return fileWiki(path, name, found.size)
  throw new WikiSourceError(`--wiki expects a folder or a file that ends in .ndjson, got ${path}.`)
}

async function folderWiki(path: string, name: string): Promise<WikiSource> {
  const files = (await markdownFiles(path)).sort(byCodeUnits)
  if (files.length === 0)
    throw new WikiSourceError(`${path} holds no Markdown: expected files that end in .md or .markdown.`)
  return pagesOf(
    name,
    files.map((file) => ({ id: relative(path, file).split(sep).join('/'), file })),
  )
}

function fileWiki(path: string, name: string, size: number): WikiSource {
  if (size === 0) throw new WikiSourceError(`${path} is empty: expected {"id","title","text"} on each line.`)
  return {
    name,
    pageCount: undefined,
    lines: () => createReadStream(path, { highWaterMark: 1 << 18 }),
    pageOnLine: (line) => `${path}:${line}`,
    skipped: [],
  }
}

/** Files as pages, read one at a time while they are sent. */
export function pagesOf(
  name: string,
  files: { id: string; file: string }[],
  turn: (id: string, text: string) => PageInput | undefined = markdownPage,
): WikiSource {
  const sent: string[] = []
  const skipped: WikiSource['skipped'] = []
  return {
    name,
    pageCount: files.length,
    skipped,
    pageOnLine: (line) => sent[line - 1] ?? `line ${line}`,
    async *lines() {
      sent.length = 0
      skipped.length = 0
      const decoder = new TextDecoder('utf-8', { fatal: true })
      for (const { id, file } of files) {
        try {
          const page = turn(id, decoder.decode(await readFile(file)))
          if (page === undefined) continue
          sent.push(id)
          yield Buffer.from(`${JSON.stringify(page)}\n`)
        } catch (error) {
          const reason = error instanceof TypeError ? 'it is not UTF-8' : (error as Error).message
          skipped.push({ page: id, reason })
        }
      }
    },
  }
}

/** Every Markdown file below; hidden folders and node_modules are passed over, links are not followed. */
export async function markdownFiles(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) found.push(...(await markdownFiles(path)))
    else if (entry.isFile() && /\.(md|markdown)$/i.test(entry.name)) found.push(path)
  }
  return found
}

/** The order of every machine, whatever its locale. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The path says which wiki it is: two folders of one name are two wikis. */
function nameOf(path: string): string {
  const home = homedir()
  return (path.startsWith(home + sep) ? `~${path.slice(home.length)}` : path).slice(-200)
}
