/**
 * `a [m × dims] · b [n × dims]ᵀ`, [m × n] row-major: brought by the caller, since fast matrix products are not this package's
 * business. With `into` the values are written there, and what is returned is its first m × n.
 */
export type Multiply = (a: Float32Array, b: Float32Array, dims: number, into?: Float32Array) => Promise<Float32Array>

/** Values of one block of a product, where there are many: 16 MB, which bounds the memory and stays in reach of the caches. */
export const blockValues = 4_194_304
