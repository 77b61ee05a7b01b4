import { ProblemError } from '../http/problem.ts'
import { Gathered, type RawItem } from './split-lines.ts'

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const open = new Set([0x5b, 0x7b])
const close = new Set([0x5d, 0x7d])
const space = new Set([0x20, 0x09, 0x0a, 0x0d])

/**
 * Splits a JSON array into its elements without parsing them, so that an array of any length takes no more memory than NDJSON.
 * Only strings and brackets are understood; each element is parsed by whoever takes it.
 * States: before `[` → inside (depth 1 and deeper, in or out of a string) → after `]`.
 * @throws ProblemError malformed_json for what is no array or ends early
 */
export async function* splitArray(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<RawItem> {
  const item = new Gathered(maxBytes)
  let no = 0
  let depth = 0
  let inString = false
  let escaped = false
  let ended = false
  for await (const chunk of chunks) {
    let from = depth === 0 ? chunk.length : 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number
      if (inString) {
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) inString = false
      } else if (depth === 0) {
        if (space.has(byte) || isByteOrderMark(byte, no)) continue
        if (ended || byte !== 0x5b)
          throw malformed(ended ? 'nothing may follow the array' : 'expected an array of pages')
        depth = 1
        from = i + 1
      } else if (byte === quote) inString = true
      else if (open.has(byte)) depth++
      else if (close.has(byte)) depth--
      if (inString || depth > 1) continue
      if (depth === 0 && !ended) ended = true
      else if (byte !== comma || depth !== 1) continue
      item.add(chunk.subarray(from, i))
      from = depth === 0 ? chunk.length : i + 1
      const whole = item.take(++no)
      if (whole) yield whole
    }
    item.add(chunk.subarray(from))
  }
  if (!ended) throw malformed('the array has no end; the body may have been cut off')
}

/** Its three bytes may stand before the first element. */
const isByteOrderMark = (byte: number, no: number): boolean =>
  no === 0 && (byte === 0xef || byte === 0xbb || byte === 0xbf)

const malformed = (reason: string) =>
  new ProblemError('malformed_json', `The body is no JSON array of pages: ${reason}`)
