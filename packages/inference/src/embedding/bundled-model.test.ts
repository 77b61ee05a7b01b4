import '../no-telemetry.ts'

import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

const FILE = new URL('../../../../models/all-MiniLM-L6-v2/model_int8.onnx', import.meta.url).pathname
const DIMS = 384
const CLS = 101
const SEP = 102

/** Token ids of a text of seeded words. */
function ids(tokens: number, seed: number): number[] {
  return Array.from({ length: tokens }, (_, t) => {
    if (t === 0) return CLS
    return t === tokens - 1 ? SEP : 2000 + ((seed * 7919 + t * 104_729) % 20_000)
  })
}

function open(exact = false): Promise<InferenceSession> {
  const extra = exact ? { extra: { session: { x64quantprecision: '1' } } } : {}
  return InferenceSession.create(FILE, { intraOpNumThreads: 1, logSeverityLevel: 3, ...extra })
}

/** Token vectors [rows × longest × dims]; shorter rows are padded with `pad`. */
async function hidden(session: InferenceSession, rows: readonly number[][], pad = 0): Promise<Float32Array> {
  const longest = Math.max(...rows.map((row) => row.length))
  const filled = rows.flatMap((row) => [...row, ...Array<number>(longest - row.length).fill(pad)])
  const mask = rows.flatMap((row) => Array.from({ length: longest }, (_, t) => (t < row.length ? 1n : 0n)))
  const shape = [rows.length, longest]
  const feeds = {
    input_ids: new Tensor('int64', BigInt64Array.from(filled, BigInt), shape),
    attention_mask: new Tensor('int64', BigInt64Array.from(mask), shape),
  }
  const output = await session.run(feeds, ['last_hidden_state'])
  return output.last_hidden_state!.data as Float32Array
}

describe('the bundled model', () => {
  it('has the same bits where the processor adds products in 16 bits and where it adds them in 32', async () => {
    const [usual, exact] = await Promise.all([open(), open(true)])
    for (const tokens of [5, 60, 256]) {
      expect(await hidden(usual, [ids(tokens, tokens)])).toEqual(await hidden(exact, [ids(tokens, tokens)]))
    }
  })

  it('reads no padding, and puts a padded text where it puts the text alone', async () => {
    const session = await open()
    const [short, long] = [ids(40, 1), ids(130, 2)]
    const padded = await hidden(session, [short, long])
    const otherPad = await hidden(session, [short, long], 3000)
    const alone = await hidden(session, [short])
    const own = short.length * DIMS
    expect(otherPad.slice(0, own)).toEqual(padded.slice(0, own))
    let [dot, a, b] = [0, 0, 0]
    for (let k = 0; k < own; k++) {
      dot += padded[k]! * alone[k]!
      a += padded[k]! ** 2
      b += alone[k]! ** 2
    }
    expect(dot / Math.sqrt(a * b)).toBeGreaterThan(0.98)
  })
})
