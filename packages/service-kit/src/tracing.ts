import { randomBytes } from 'node:crypto'

/*
 * W3C trace context, level 1 (https://www.w3.org/TR/trace-context/): `00-<trace id>-<span id>-<flags>`. It travels in HTTP headers and
 * in the envelopes of messages; the trace id joins the log lines of everything that one request set off.
 */

const shape = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/

/** The next span of the given trace, or the first of a new one when the given value is missing or not as the standard wants it. */
export function childTraceparent(parent: string | undefined): string {
  const known = parent ? shape.exec(parent) : null
  const traceId = known?.[1] ?? nonZero(16)
  return `00-${traceId}-${nonZero(8)}-${known?.[2] ?? '01'}`
}

/** The 32 hexadecimal digits that all spans of a trace share. */
export const traceIdOf = (traceparent: string | undefined): string | undefined =>
  traceparent ? shape.exec(traceparent)?.[1] : undefined

function nonZero(bytes: number): string {
  for (;;) {
    const id = random(bytes)
    if (/[^0]/.test(id)) return id
  }
}

const poolBytes = 4_096
let pool = ''

/** Hexadecimal digits from a pool: one call for randomness each time costs a request more than its routing. */
function random(bytes: number): string {
  if (pool.length < bytes * 2) pool = randomBytes(poolBytes).toString('hex')
  const digits = pool.slice(0, bytes * 2)
  pool = pool.slice(bytes * 2)
  return digits
}
