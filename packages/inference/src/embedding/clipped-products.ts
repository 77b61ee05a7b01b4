import { readFile, stat } from 'node:fs/promises'

/** Whether products of 8 bits are known to fit 16, are to be made exactly (slower without VNNI), or must be looked at. */
export type Products = 'fit' | 'exact' | 'check'

/** What tells that an ONNX file multiplies in 8 bits; a graph of quantised and dequantised values is made into one. */
const OPERATORS = ['MatMulInteger', 'QLinear', 'QGemm', 'QAttention', 'DynamicQuantize', 'DequantizeLinear']
const LARGEST_READ_BYTES = 2 ** 31 - 1

/**
 * Whether a model's products may clip on this processor. On x64 without VNNI, ONNX Runtime adds two products of unsigned and signed 8 bits
 * in 16, which is too few for weights near ±127: the same file then gives other vectors than on a processor that has it.
 */
export async function mayClip(onnxFile: string, arch: string = process.arch): Promise<boolean> {
  if (arch !== 'x64') return false
  if ((await stat(onnxFile)).size > LARGEST_READ_BYTES) return true
  const content = await readFile(onnxFile)
  return OPERATORS.some((operator) => content.includes(operator))
}

/** Rounding of a float; clipped products are off by hundredths. */
const SAME = 1e-6

/** The lowest cosine of pairs of vectors, or undefined where they are all the same. */
export function lowestCosine(some: readonly Float64Array[], others: readonly Float64Array[]): number | undefined {
  const lowest = Math.min(...some.map((a, k) => cosine(a, others[k]!)))
  return lowest < 1 - SAME ? lowest : undefined
}

function cosine(a: Float64Array, b: Float64Array): number {
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, value, d) => sum + value * y[d]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1)
}
