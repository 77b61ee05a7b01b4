import { isAscii } from 'node:buffer'
import { isoDateTime } from './date-time.ts'
import type { UncheckedReading } from './message.ts'

/*
 * Reading what `toCloudEvent` wrote, without building and checking the envelope: one expression finds its fields, and the data after it is
 * parsed alone. Whatever is not written so exactly (another writer's order, a space, an escape) is read the long way, with the same outcome.
 */

/** Printable ASCII that JSON neither escapes nor ends a string with */
const plain = '[ !#-[\\]-~]'
const head = new RegExp(
  `^\\{"specversion":"1\\.0","id":"(${plain}+)","source":"(${plain}*)","type":"(${plain}*)","time":"(${isoDateTime})","datacontenttype":"application/json"` +
    `(?:,"traceparent":"(${plain}*)")?(?:,"requestid":"(${plain}*)")?,"data":`,
)

/** @returns undefined for what has to be read the long way */
export function readAsWritten(text: string): UncheckedReading | undefined {
  const found = head.exec(text)
  if (!found || !text.endsWith('}')) return undefined
  const json = text.slice(found[0].length, -1)
  let data: unknown
  try {
    data = JSON.parse(json)
  } catch {
    // Another field after the data, say
    return undefined
  }
  const [, id = '', source = '', type = '', time = '', traceparent, requestid] = found
  const envelope = {
    specversion: '1.0' as const,
    id,
    source,
    type,
    time,
    datacontenttype: 'application/json' as const,
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(requestid === undefined ? {} : { requestid }),
    data,
  }
  return { envelope, json }
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** ASCII is taken as it is, in a quarter of the decoder's time. @throws TypeError for what is not UTF-8 */
export function textOf(bytes: Uint8Array): string {
  if (!isAscii(bytes)) return decoder.decode(bytes)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
