import { readFileSync } from 'node:fs'

/* What a benchmark is given: what is wrong with it is said with the file, the place and what was expected. */

/** Raw little-endian float32, row by row. */
export function readRows(file: string, dims: number): Float32Array<ArrayBuffer> {
  const bytes = read(file)
  if (bytes.byteLength % (4 * dims) !== 0)
    throw new Error(`${file} has ${bytes.byteLength} bytes, expected 4 × ${dims} for each row`)
  const rows = new Float32Array(bytes.byteLength / 4)
  new Uint8Array(rows.buffer).set(bytes)
  return rows
}

/** One object a line; empty lines are passed over. */
export function readNdjson<Line extends object>(file: string): Line[] {
  return readLines(file).flatMap((line, at) => (line.trim() === '' ? [] : [parse<Line>(line, `${file}:${at + 1}`)]))
}

export const readLines = (file: string): string[] => read(file).toString().split(/\r?\n/)

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`)
  }
}

function parse<Line extends object>(line: string, place: string): Line {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    // Said below
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${place}: expected a JSON object, got ${line.slice(0, 60)}`)
  return value as Line
}

/** A number given as --name: whole, from 1. */
export function countOf(name: string, given: string): number {
  const count = Number(given)
  if (!Number.isSafeInteger(count) || count < 1)
    throw new Error(`--${name}: expected a whole number from 1, got "${given}"`)
  return count
}
