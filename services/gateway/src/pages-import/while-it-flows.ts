import type { Readable } from 'node:stream'
import { ProblemError } from '../http/problem.ts'

/**
 * The chunks of a body for as long as they come. Time that the taker needs between two of them does not count. A taker that
 * stops early leaves the rest to flow away unread: a body that was cut off here would hold up its connection's next request for ever.
 * @throws ProblemError request_timeout after `silenceMs` without a byte
 */
export async function* whileItFlows(body: Readable, silenceMs: number): AsyncGenerator<Buffer> {
  const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  try {
    for (;;) {
      const next = await within(chunks.next(), silenceMs)
      if (next.done) return
      yield next.value
    }
  } finally {
    // Not awaited: a stream that hangs would hold this up too.
    chunks.return?.().then(
      () => body.resume(),
      () => {},
    )
  }
}

async function within<Value>(value: Promise<Value>, ms: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ProblemError('request_timeout', `No byte of the body came for ${ms / 1000} s`)),
      ms,
    )
  })
  try {
    return await Promise.race([value, silence])
  } finally {
    clearTimeout(timer)
  }
}
