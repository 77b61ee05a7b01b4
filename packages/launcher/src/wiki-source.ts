import { createReadStream, type Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { type PageInput, pageLimits } from '@tagloom/contracts'
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
  /** Why a line is no page, where that was found before the gateway saw it: a file that could not be read. */
  reasonOnLine(line: number): string | undefined
  /** What whoever started this should hear of pages that were taken. Whole once `lines()` has ended. */
  notes: string[]
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
  const passedOver: string[] = []
  const files = (await markdownFiles(path, (entry) => passedOver.push(relative(path, entry)))).sort(byCodeUnits)
  if (files.length === 0)
    throw new WikiSourceError(`${path} holds no Markdown: expected files that end in .md or .markdown.`)
  const shown = passedOver.slice(0, 5).join(', ')
  const more = passedOver.length > 5 ? ` and ${passedOver.length - 5} more` : ''
  return pagesOf(
    name,
    files.map((file) => ({ id: relative(path, file).split(sep).join('/'), file })),
    (id, text, tell) => markdownPage(id, text, (note) => tell(`${id}: ${note}`)),
    passedOver.length === 0 ? [] : [`passed over, since only plain files are read: ${shown}${more}`],
  )
}

function fileWiki(path: string, name: string, size: number): WikiSource {
  if (size === 0) throw new WikiSourceError(`${path} is empty: expected {"id","title","text"} on each line.`)
  return {
    name,
    pageCount: undefined,
    lines: () => createReadStream(path, { highWaterMark: 1 << 18 }),
    pageOnLine: (line) => `${path}:${line}`,
    reasonOnLine: () => undefined,
    notes: [],
  }
}

/**
 * Files as pages, read one at a time while they are sent. One that cannot be read is sent as its id alone, which the gateway
 * rejects: so it is counted, and its page of an earlier import is not taken for one that is gone.
 */
export function pagesOf(
  name: string,
  files: { id: string; file: string }[],
  turn: (id: string, text: string, tell: (note: string) => void) => PageInput,
  notesBefore: readonly string[] = [],
): WikiSource {
  const sent: string[] = []
  const reasons = new Map<number, string>()
  const notes = [...notesBefore]
  return {
    name,
    pageCount: files.length,
    pageOnLine: (line) => sent[line - 1] ?? `line ${line}`,
    reasonOnLine: (line) => reasons.get(line),
    notes,
    async *lines() {
      sent.length = 0
      reasons.clear()
      notes.splice(0, notes.length, ...notesBefore)
      for (const { id, file } of files) {
        sent.push(id)
        let line: Pick<PageInput, 'id'>
        try {
          line = turn(id, await textOf(file), (note) => notes.push(note))
        } catch (error) {
          reasons.set(sent.length, reasonOf(error as NodeJS.ErrnoException))
          line = { id }
        }
        yield Buffer.from(`${JSON.stringify(line)}\n`)
      }
    },
  }
}

/** More than the longest page in any encoding. */
const LONGEST_FILE_BYTES = 4 * pageLimits.textCharacters

/** UTF-8, or UTF-16 where the file begins with its byte order mark. */
async function textOf(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > LONGEST_FILE_BYTES)
    throw new WikiSourceError(
      `it has ${size} bytes, and a page ${pageLimits.textCharacters} characters at most: split it`,
    )
  const bytes = await readFile(file)
  const mark = bytes.subarray(0, 2).toString('hex')
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error instanceof TypeError) return 'it is neither UTF-8 nor UTF-16: convert it, or rename it where it is no text'
  if (error.code === 'EACCES') return 'this user may not read it: change its permissions'
  if (error.code === 'ENOENT') return 'it was removed meanwhile, or its name is no UTF-8: rename it'
  return error.message
}

/**
 * Every Markdown file below; hidden folders and node_modules are passed over, links are not followed.
 * @param passOver hears of each link and special file that could have given pages
 */
export async function markdownFiles(folder: string, passOver: (path: string) => void = () => {}): Promise<string[]> {
  const found: string[] = []
  for (const entry of await entriesOf(folder)) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    const path = join(folder, entry.name)
    const isMarkdown = /\.(md|markdown)$/i.test(entry.name)
    if (entry.isDirectory()) found.push(...(await markdownFiles(path, passOver)))
    else if (entry.isFile() && isMarkdown) found.push(path)
    else if (!entry.isFile() && (isMarkdown || (await isFolder(path)))) passOver(path)
  }
  return found
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((cause: Error) => {
    const advice = 'Let this user read it, or move it out of the wiki.'
    throw new WikiSourceError(`The folder ${folder} cannot be read: ${cause.message}. ${advice}`, { cause })
  })
}

/** Also by a link; false for one that leads nowhere. */
const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** The order of every machine, whatever its locale. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The path says which wiki it is: two folders of one name are two wikis. */
function nameOf(path: string): string {
  const home = homedir()
  return (path.startsWith(home + sep) ? `~${path.slice(home.length)}` : path).slice(-200)
}
