import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import wabt from 'wabt'
import { noise } from '../clustering/testing.ts'
import { rowKernelsWasm } from './row-kernels-wasm.ts'
import { openRowMemory } from './row-memory.ts'

const sizes = { mostLeft: 4, mostRight: 3, mostProducts: 64, mostColumns: 64 }

test.each([1, 15, 16, 17, 100, 384])('products of rows of %i are those of plain sums', (dims) => {
  const rows = noise(40, dims)
  const memory = openRowMemory(rows, dims, sizes)
  memory.numbers.set([3, 39, 0, 7, 3])
  memory.compare(7, 5)
  for (let i = 0; i < 5; i++) {
    let sum = 0
    for (let j = 0; j < dims; j++) sum += rows[7 * dims + j]! * rows[memory.numbers[i]! * dims + j]!
    expect(memory.compared[i]).toBeCloseTo(sum, 4)
  }
})

test('compares with none where none are asked for', () => {
  const memory = openRowMemory(noise(2, 8), 8, sizes)
  memory.compare(0, 0)
  expect(memory.compared[0]).toBe(0)
})

test.each([1, 3, 4, 7, 8, 61])('of %i values those above either bound are found, in order', (columns) => {
  const memory = openRowMemory(noise(1, 4), 4, sizes)
  const [values, bounds] = [noise(1, 64, 5), noise(1, 64, 6)]
  memory.products.set(values)
  memory.bounds.set(bounds)
  for (const bound of [-2, 0.1, 0.5, 2]) {
    const wanted = Array.from({ length: columns }, (_, j) => j).filter(
      (j) => values[2 + j]! > Math.fround(bound) || values[2 + j]! > bounds[1 + j]!,
    )
    const hits = memory.above(2, 1, columns, bound)
    expect([...memory.numbers.subarray(0, hits)]).toEqual(wanted)
  }
})

test('gathers rows beside each other, filled up with zeros, each side in its own place', () => {
  const rows = noise(9, 5)
  const memory = openRowMemory(rows, 5, sizes)
  const left = memory.gather('left', Int32Array.of(8, 0, 8, 2))
  const right = memory.gather('right', Int32Array.of(1, 3))
  expect([...left.subarray(0, 5)]).toEqual([...rows.subarray(40, 45)])
  expect([...left.subarray(5, 16)]).toEqual(new Array(11).fill(0))
  expect([...left.subarray(3 * 16, 3 * 16 + 5)]).toEqual([...rows.subarray(10, 15)])
  expect([...right.subarray(16, 21)]).toEqual([...rows.subarray(15, 20)])
})

test('rows that do not fit into 4 GiB are refused', () => {
  expect(() => openRowMemory(noise(1, 4), 4, { ...sizes, mostProducts: 2 ** 30 })).toThrow('expected at most 4 GiB')
})

test('the bytes are those of the source', async () => {
  const source = readFileSync(new URL('row-kernels.wat', import.meta.url), 'utf8')
  const module = (await wabt()).parseWat('row-kernels.wat', source, { simd: true })
  expect(rowKernelsWasm).toBe(Buffer.from(module.toBinary({}).buffer).toString('base64'))
})
