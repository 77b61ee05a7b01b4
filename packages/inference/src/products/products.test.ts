import { afterAll, beforeAll, expect, test } from 'vitest'
import { nearestRows } from './nearest.ts'
import { openProducts, type Products } from './products.ts'

let products: Products
beforeAll(async () => {
  products = await openProducts({ device: 'cpu', threads: 1 })
})
afterAll(() => products.close())

/** Unit vectors around some centres, repeatable. */
function rowsOf(count: number, dims: number, centres: number): Float32Array {
  let state = 7
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2_147_483_648 - 1
  }
  const around = Float32Array.from({ length: centres * dims }, next)
  const rows = Float32Array.from(
    { length: count * dims },
    (_, at) => around[(Math.floor(at / dims) % centres) * dims + (at % dims)]! + 0.8 * next(),
  )
  for (let first = 0; first < rows.length; first += dims) {
    const row = rows.subarray(first, first + dims)
    const length = Math.hypot(...row)
    for (let j = 0; j < dims; j++) row[j]! /= length
  }
  return rows
}

function bruteBest(rows: Float32Array, dims: number, row: number, k: number): { other: number; value: number }[] {
  const all = Array.from({ length: rows.length / dims }, (_, other) => {
    let value = 0
    for (let j = 0; j < dims; j++) value += rows[row * dims + j]! * rows[other * dims + j]!
    return { other, value }
  })
  return all
    .filter(({ other }) => other !== row)
    .sort((a, b) => b.value - a.value)
    .slice(0, k)
}

test('multiplies with the transposed right side', async () => {
  const a = Float32Array.of(1, 2, 3, 4)
  const b = Float32Array.of(1, 0, 0, 1, 1, 1)
  expect([...(await products.multiply(a, b, 2))]).toEqual([1, 2, 3, 3, 4, 7])
})

test('the nearest rows are those that comparing every pair finds', async () => {
  const rows = rowsOf(300, 16, 5)
  const found = await nearestRows(products, rows, 16, 7)
  for (let row = 0; row < 300; row++) {
    const best = bruteBest(rows, 16, row, 7)
    expect([...found.indices.subarray(row * 7, row * 7 + 7)]).toEqual(best.map(({ other }) => other))
    for (const [i, { value }] of best.entries()) expect(found.similarities[row * 7 + i]).toBeCloseTo(value, 5)
  }
})

test('cells find 95 % of them or more, each once, best first, the same for a seed', async () => {
  const rows = rowsOf(3_000, 24, 40)
  const cells = await nearestRows(products, rows, 24, 10, { exactUpTo: 100, seed: 3 })
  const exact = await nearestRows(products, rows, 24, 10)
  let hits = 0
  for (let row = 0; row < 3_000; row++) {
    const own = cells.indices.subarray(row * 10, row * 10 + 10)
    expect(new Set(own).size).toBe(10)
    expect(own.includes(row)).toBe(false)
    const values = [...cells.similarities.subarray(row * 10, row * 10 + 10)]
    expect(values).toEqual(values.toSorted((a, b) => b - a))
    const truth = new Set(exact.indices.subarray(row * 10, row * 10 + 10))
    hits += own.reduce((sum, other) => sum + (truth.has(other) ? 1 : 0), 0)
  }
  expect(hits / 30_000).toBeGreaterThan(0.95)
  expect(await nearestRows(products, rows, 24, 10, { exactUpTo: 100, seed: 3 })).toEqual(cells)
})

test('any number of threads finds the same', async () => {
  const rows = rowsOf(700, 32, 6)
  const more = await openProducts({ device: 'cpu', threads: 2 })
  expect(await nearestRows(more, rows, 32, 9)).toEqual(await nearestRows(products, rows, 32, 9))
  await more.close()
})

test('an abort ends it between two blocks', async () => {
  const signal = AbortSignal.abort(new Error('cancelled'))
  await expect(nearestRows(products, rowsOf(50, 8, 2), 8, 3, { signal })).rejects.toThrow('cancelled')
})

test('more neighbours than there are rows are refused', async () => {
  await expect(nearestRows(products, rowsOf(5, 8, 2), 8, 5)).rejects.toThrow('asked for 5 neighbours among 5 rows')
})
