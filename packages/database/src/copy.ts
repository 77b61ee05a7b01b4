import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { destroyAfterUse, type Transaction } from './database.ts'

/** A value of one column: bytes become bytea, objects JSON, null NULL. */
export type CopyValue = string | number | boolean | null | Buffer | Date | object

/**
 * Writes rows by COPY on the transaction's own connection. When `rows` throws, the connection is destroyed with the transaction.
 * Measured on 500,000 page tags: COPY 0.8 s, unnest upserts 3.7 s, multi-row INSERT 7.5 s, row by row 16 s.
 * @returns rows written
 */
export async function copyRows(
  tx: Transaction,
  table: string,
  columns: readonly string[],
  rows: Rows<readonly CopyValue[]>,
): Promise<number> {
  return copyChunks(tx, `copy ${table} (${columns.join(', ')}) from stdin`, chunks(rows, columns.length, table))
}

/**
 * Writes long texts: in the binary format, which has no escapes to look for. Text that is in UTF-8 already is taken as it is.
 * @returns rows written
 */
export async function copyTexts(
  tx: Transaction,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly (string | Uint8Array)[]>,
): Promise<number> {
  return copyChunks(tx, `copy ${table} (${columns.join(', ')}) from stdin (format binary)`, binaryChunks(rows))
}

async function copyChunks(tx: Transaction, statement: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  const sink = tx.client.query(copyFrom(statement))
  try {
    await pipeline(Readable.from(chunks, { objectMode: false, highWaterMark: 1 << 18 }), sink)
  } catch (error) {
    destroyAfterUse(tx.client)
    throw error
  }
  return sink.rowCount
}

/** About 2 ms of building rows */
const chunkCharacters = 1 << 16

// Signature, flags, length of the header's extension
const binaryHead = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const binaryEnd = Buffer.from([0xff, 0xff])

async function* binaryChunks(rows: Iterable<readonly (string | Uint8Array)[]>): AsyncGenerator<Buffer> {
  let pieces: Uint8Array[] = [binaryHead]
  let size = 0
  for (const row of rows) {
    const width = Buffer.allocUnsafe(2)
    width.writeInt16BE(row.length)
    pieces.push(width)
    for (const value of row) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      const length = Buffer.allocUnsafe(4)
      length.writeInt32BE(bytes.length)
      pieces.push(length, bytes)
      size += bytes.length
    }
    if (size < chunkCharacters) continue
    yield Buffer.concat(pieces)
    await setImmediate()
    pieces = []
    size = 0
  }
  yield Buffer.concat([...pieces, binaryEnd])
}

type Rows<Row> = Iterable<Row> | AsyncIterable<Row>

/**
 * Gives way to the event loop between chunks. The streams alone do not: while the socket takes what it is given, their steps follow each
 * other without the loop going round, and 50,000 rows were one standstill.
 */
async function* chunks(rows: Rows<readonly CopyValue[]>, width: number, table: string): AsyncGenerator<Buffer> {
  const line = (row: readonly CopyValue[]): string => {
    if (row.length !== width) throw new Error(`row for ${table} has ${row.length} values, expected ${width}`)
    let text = encode(row[0] as CopyValue)
    for (let at = 1; at < width; at++) text += `\t${encode(row[at] as CopyValue)}`
    return `${text}\n`
  }
  for await (const chunk of Symbol.asyncIterator in rows ? chunksAsTheyCome(rows, line) : chunksAtOnce(rows, line)) {
    yield chunk
    await setImmediate()
  }
}

/** Rows that are there are not awaited one by one: that alone doubled the processor time of a row. */
function* chunksAtOnce(
  rows: Iterable<readonly CopyValue[]>,
  line: (row: readonly CopyValue[]) => string,
): Generator<Buffer> {
  let chunk = ''
  for (const row of rows) {
    chunk += line(row)
    if (chunk.length < chunkCharacters) continue
    yield Buffer.from(chunk)
    chunk = ''
  }
  if (chunk) yield Buffer.from(chunk)
}

async function* chunksAsTheyCome(
  rows: AsyncIterable<readonly CopyValue[]>,
  line: (row: readonly CopyValue[]) => string,
): AsyncGenerator<Buffer> {
  let chunk = ''
  for await (const row of rows) {
    chunk += line(row)
    if (chunk.length < chunkCharacters) continue
    yield Buffer.from(chunk)
    chunk = ''
  }
  if (chunk) yield Buffer.from(chunk)
}

function encode(value: CopyValue): string {
  if (value === null || value === undefined) return '\\N'
  if (typeof value === 'number')
    return Number.isFinite(value) ? String(value) : String(value).replace('Infinity', 'infinity')
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (Buffer.isBuffer(value)) return `\\\\x${value.toString('hex')}`
  if (value instanceof Date) return value.toISOString()
  return escapeText(typeof value === 'string' ? value : JSON.stringify(value))
}

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
const special = /[\\\n\r\t]/
const escapeText = (text: string): string =>
  special.test(text) ? text.replace(/[\\\n\r\t]/g, (c) => escapes[c] as string) : text
