import { rowKernelsWasm } from './row-kernels-wasm.ts'

/**
 * Rows in a memory of their own, with what is needed to compare them there: places for gathered rows on both sides of a matrix
 * product, for its values, and for lists. Only views of it are handed around; nothing is copied but rows into their places.
 */
export type RowMemory = {
  count: number
  /** Values from one row to the next: dims filled up with zeros */
  width: number
  /** [count × width] */
  rows: Float32Array
  /** Copies rows to the left or right place, [numbers × width]; returns a view that the next call writes over. */
  gather(side: 'left' | 'right', numbers: Int32Array): Float32Array
  /** Place for the values of a product, [mostProducts] */
  products: Float32Array
  /** Bounds of the columns for `above`, [mostColumns] */
  bounds: Float32Array
  /** Numbers: the rows for `compare`, which the caller writes; or the columns that `above` found. [mostColumns] */
  numbers: Int32Array
  /** Dot products of a row with the first `count` rows in `numbers`, in `compared`. */
  compare(row: number, count: number): void
  compared: Float32Array
  /**
   * Which of `columns` values from `products[from]` on exceed `bound` or their column's bound; the columns' numbers are in
   * `numbers`, ascending. Returns how many. `firstColumn` is the column of the first value.
   */
  above(from: number, firstColumn: number, columns: number, bound: number): number
}

export type RowMemorySizes = { mostLeft: number; mostRight: number; mostProducts: number; mostColumns: number }

/** What is used of the WebAssembly API, which neither TypeScript's library for ES nor Node's types declare. */
type WebAssemblyApi = {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: Kernels }
}
type Kernels = {
  dots: (rows: number, stride: number, row: number, list: number, count: number, out: number) => void
  above: (values: number, bounds: number, count: number, bound: number, out: number) => number
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi }

const pageBytes = 65_536
const mostPages = 65_536
const unrolledValues = 16

/**
 * Copies `rows`, [count × dims] row-major float32. Sums are taken in a fixed order, so that the same rows give the same bits
 * anywhere. Throws RangeError above 4 GiB, which is 2.7 million rows of 384.
 */
export function openRowMemory(rows: Float32Array, dims: number, sizes: RowMemorySizes): RowMemory {
  const count = rows.length / dims
  const width = Math.ceil(dims / unrolledValues) * unrolledValues
  const place = placesFor(width, count, sizes)
  const memory = new WebAssembly.Memory({ initial: Math.ceil(place.end / pageBytes), maximum: mostPages })
  const module = new WebAssembly.Module(Buffer.from(rowKernelsWasm, 'base64'))
  const { dots, above } = new WebAssembly.Instance(module, { env: { memory } }).exports
  const all = new Float32Array(memory.buffer)
  if (width === dims) all.set(rows)
  else for (let row = 0; row < count; row++) all.set(rows.subarray(row * dims, (row + 1) * dims), row * width)
  return {
    count,
    width,
    rows: all.subarray(0, count * width),
    gather(side, numbers) {
      const first = side === 'left' ? place.left : place.right
      for (let i = 0; i < numbers.length; i++) {
        const from = numbers[i]! * width
        all.copyWithin(first / 4 + i * width, from, from + width)
      }
      return all.subarray(first / 4, first / 4 + numbers.length * width)
    },
    products: all.subarray(place.products / 4, place.products / 4 + sizes.mostProducts),
    bounds: all.subarray(place.bounds / 4, place.bounds / 4 + sizes.mostColumns),
    numbers: new Int32Array(memory.buffer, place.numbers, sizes.mostColumns),
    compared: all.subarray(place.compared / 4, place.compared / 4 + sizes.mostColumns),
    compare: (row, others) => dots(0, width * 4, row, place.numbers, others, place.compared),
    above: (from, firstColumn, columns, bound) =>
      above(place.products + from * 4, place.bounds + firstColumn * 4, columns, bound, place.numbers),
  }
}

/** Addresses in bytes, each a multiple of 64. */
function placesFor(width: number, count: number, { mostLeft, mostRight, mostProducts, mostColumns }: RowMemorySizes) {
  let end = count * width * 4
  const take = (values: number) => {
    const at = end
    end += Math.ceil(values / unrolledValues) * unrolledValues * 4
    return at
  }
  const places = {
    left: take(mostLeft * width),
    right: take(mostRight * width),
    products: take(mostProducts),
    bounds: take(mostColumns),
    numbers: take(mostColumns),
    compared: take(mostColumns),
  }
  if (end > mostPages * pageBytes) {
    throw new RangeError(
      `${count} rows of ${width} take ${end} bytes, expected at most 4 GiB: fewer dimensions or rows`,
    )
  }
  return { ...places, end }
}
