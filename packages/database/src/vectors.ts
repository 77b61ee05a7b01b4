/** A copy, since a Buffer of the driver may lie at an odd offset of a larger one. */
export function floatsOf(bytes: Buffer): Float32Array {
  const floats = new Float32Array(bytes.byteLength / 4)
  new Uint8Array(floats.buffer).set(bytes)
  return floats
}

/** float32 little-endian, as every machine that this runs on holds it. */
export const bytesOf = (vector: Float32Array): Buffer =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
