import { isUtf8 } from 'node:buffer'
import { type ImportError, type ImportErrorCode, PageInput } from '@tagloom/contracts'
import type { PageToStore } from '@tagloom/database'
import { Compile } from 'typebox/compile'
import type { RawItem } from './split-lines.ts'

/** A line's page, or why it has none. */
export type ReadPage = { readonly page: PageToStore; readonly repaired: boolean } | { readonly error: ImportError }

/** One line that may hold the longest page, with room for JSON's escapes. */
export const maxLineBytes = 16 * 1024 * 1024

const isPage = Compile(PageInput)

export function readPage(item: RawItem): ReadPage {
  const reject = (code: ImportErrorCode, reason: string): ReadPage => ({ error: { line: item.no, code, reason } })
  if ('tooLong' in item)
    return reject('line_too_long', `line has ${item.tooLong} bytes, expected ${maxLineBytes} at most: split the page`)
  if (!isUtf8(item.bytes)) return reject('invalid_utf8', 'line is not UTF-8: convert the export to UTF-8')
  let value: unknown
  try {
    value = JSON.parse(withoutByteOrderMark(item))
  } catch (error) {
    return reject('invalid_json', `line is not JSON: ${withoutContent((error as Error).message)}`)
  }
  if (!isPage.Check(value)) {
    const [first] = isPage.Errors(value)
    return reject('invalid_page', `${first?.instancePath || 'line'} ${first?.message}`)
  }
  return toPage(value, reject)
}

function toPage(value: PageInput, reject: (code: ImportErrorCode, reason: string) => ReadPage): ReadPage {
  let repaired = false
  const clean = (text: string): string => {
    const cleaned = storable(text)
    if (cleaned !== text) repaired = true
    return cleaned
  }
  const externalId = clean(String(value.id))
  if (externalId === '') return reject('invalid_page', '/id is empty, expected 1 character or more')
  const tags = value.tags?.map((tag) => clean(tag).trim()).filter((tag) => tag !== '')
  const page = {
    externalId,
    title: clean(value.title),
    text: clean(value.text),
    goldLabel: typeof value.label === 'string' ? clean(value.label) : null,
    tags,
  }
  return { page, repaired }
}

/** What PostgreSQL's text can hold: no NUL, no half of a surrogate pair. */
const storable = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '') : text).toWellFormed()

function withoutByteOrderMark(item: { no: number; bytes: Buffer }): string {
  const text = item.bytes.toString('utf8')
  return item.no === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text
}

/** V8 quotes the text around the fault; a report must not repeat page text. */
const withoutContent = (message: string): string => message.replace(/,? ?("|\.\.\.).*$/s, '')
