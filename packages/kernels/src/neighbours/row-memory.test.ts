import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import wabt from 'wabt'
import { noise } from '../clustering/testing.ts'
import { rowKernelsWasm } from './row-kernels-wasm.ts'
import { openRowMemory } from './row-memory.ts'

const sizes = { k: 3, mostLeft: 4, mostRight: 3, mostProducts: 64, mostRows: 8, mostColumns: 64 }

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

const offered = { k: 3, mostLeft: 0, mostRight: 0, mostProducts: 400, mostRows: 20, mostColumns: 20 }

/** The lists that each page would have, if it kept the best of all that it was offered. */
function bestOf(pairs: [page: number, other: number, similarity: number][], pages: number, k: number): number[] {
  const lists = Array.from({ length: pages }, () => new Map<number, number>())
  for (const [page, other, similarity] of pairs) lists[page]!.set(other, lists[page]!.get(other) ?? similarity)
  return lists.flatMap((list) => {
    const best = [...list].sort((a, b) => b[1] - a[1]).slice(0, k)
    return Array.from({ length: k }, (_, i) => best[i]?.[0] ?? -1)
  })
}

test.each([
  ['a cell with itself', [4, 0, 9, 7, 2, 13, 5], [4, 0, 9, 7, 2, 13, 5]],
  ['a cell with visitors, some of them its own', [1, 4, 11, 0], [4, 0, 9, 7, 2, 13, 5, 3, 8]],
  ['one with one', [3], [8]],
])('products of %s leave each page the best that it met', (_, rows, columns) => {
  const memory = openRowMemory(noise(14, 4), 4, offered)
  // Symmetric, as products are.
  const values = noise(14, 14, 3)
  const similarity = (a: number, b: number) => values[Math.min(a, b) * 14 + Math.max(a, b)]!
  memory.products.fill(9)
  memory.products.set(rows.flatMap((row) => columns.map((column) => similarity(row, column))))
  memory.offerProducts(Int32Array.from(rows), Int32Array.from(columns))
  const pairs = rows.flatMap((row) =>
    columns.filter((column) => column !== row).map((column) => [row, column] as const),
  )
  const both = pairs.flatMap(([a, b]): [number, number, number][] => [
    [a, b, similarity(a, b)],
    [b, a, similarity(a, b)],
  ])
  expect([...memory.lists.indices]).toEqual(bestOf(both, 14, 3))
})

test('of a symmetric product the half right of the diagonal is enough', () => {
  const pages = [6, 2, 9, 0, 4, 1]
  const [half, whole] = [openRowMemory(noise(10, 4), 4, offered), openRowMemory(noise(10, 4), 4, offered)]
  const values = noise(6, 6, 8)
  for (let i = 0; i < 36; i++)
    whole.products[i] = values[Math.min(Math.floor(i / 6), i % 6) * 6 + Math.max(Math.floor(i / 6), i % 6)]!
  for (let i = 0; i < 36; i++) half.products[i] = i % 6 > Math.floor(i / 6) ? whole.products[i]! : 5
  for (const memory of [half, whole])
    memory.offerProducts(Int32Array.from(pages), Int32Array.from(pages), memory === half ? 'upper' : undefined)
  expect(half.lists).toEqual(whole.lists)
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
  const module = (await wabt()).parseWat('row-kernels.wat', source, { simd: true, bulk_memory: true })
  expect(rowKernelsWasm).toBe(Buffer.from(module.toBinary({}).buffer).toString('base64'))
})
