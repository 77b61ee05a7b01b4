/** One line or array element: its number from 1, and its bytes, or how many it had when they were too many to keep. */
export type RawItem =
  | { readonly no: number; readonly bytes: Buffer }
  | { readonly no: number; readonly tooLong: number }

const lineFeed = 10

/**
 * Splits NDJSON into lines. Memory: one line of at most `maxBytes` and one chunk; the rest of a longer line is passed over.
 * Blank lines are counted and left out, as are carriage returns.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<RawItem> {
  const line = new Gathered(maxBytes)
  let no = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(lineFeed, from); end !== -1; end = chunk.indexOf(lineFeed, from)) {
      line.add(chunk.subarray(from, end))
      from = end + 1
      const item = line.take(++no)
      if (item) yield item
    }
    line.add(chunk.subarray(from))
  }
  const item = line.take(++no)
  if (item) yield item
}

/** Bytes of one item, kept up to a limit and only counted beyond it. */
export class Gathered {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  add(part: Buffer): void {
    this.#length += part.length
    if (this.#length > this.#maxBytes) this.#parts = []
    else if (part.length > 0) this.#parts.push(part)
  }

  /** What was gathered, or undefined when that is blank; begins anew. */
  take(no: number): RawItem | undefined {
    const length = this.#length
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#length = 0
    if (length > this.#maxBytes) return { no, tooLong: length }
    return isBlank(bytes) ? undefined : { no, bytes }
  }
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 32 && byte !== 9 && byte !== 13) return false
  return true
}
