import { afterAll, beforeAll, expect, test } from 'vitest'
import { openProducts, type Products } from './products.ts'

let products: Products

beforeAll(async () => {
  products = await openProducts({ device: 'cpu', threads: 1 })
})
afterAll(() => products.close())

const a = Float32Array.of(1, 2, 3, 4)
const b = Float32Array.of(1, 0, 0, 1, 1, 1)

test('multiplies with the transposed right side', async () => {
  expect([...(await products.multiply(a, b, 2))]).toEqual([1, 2, 3, 3, 4, 7])
})

test('writes into what it is given, at its beginning', async () => {
  const into = new Float32Array(8).fill(9)
  const values = await products.multiply(a, b, 2, into)
  expect([...into]).toEqual([1, 2, 3, 3, 4, 7, 9, 9])
  expect(values.buffer).toBe(into.buffer)
  expect(values.length).toBe(6)
})

test('any number of threads finds the same', async () => {
  const rows = Float32Array.from({ length: 700 * 384 }, (_, at) => Math.sin(at * 12.9898))
  const more = await openProducts({ device: 'cpu', threads: 2 })
  expect(await more.multiply(rows, rows, 384)).toEqual(await products.multiply(rows, rows, 384))
  await more.close()
})
