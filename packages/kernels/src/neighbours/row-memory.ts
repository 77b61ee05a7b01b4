import { emptyLists, type NeighbourLists } from './neighbour-lists.ts'
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
  /** Neighbours of all rows, empty at first, [count × k] */
  lists: NeighbourLists
  /**
   * Offers each of `rows` to the list of each of `columns` and the other way round, by `products`, [rows × columns] row-major; with
   * `upper` only the pairs right of the diagonal, which is the half of a symmetric product. Writes over `bounds`.
   */
  offerProducts(rows: Int32Array, columns: Int32Array, upper?: 'upper'): void
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

export type RowMemorySizes = {
  /** Neighbours of each row */
  k: number
  /** Rows gathered on each side */
  mostLeft: number
  mostRight: number
  /** Values of a product, its rows and its columns */
  mostProducts: number
  mostRows: number
  mostColumns: number
}

/** What is used of the WebAssembly API, which neither TypeScript's library for ES nor Node's types declare. */
type WebAssemblyApi = {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: Kernels }
}
type Kernels = {
  dots: (rows: number, stride: number, row: number, list: number, count: number, out: number) => void
  gather: (rows: number, stride: number, list: number, count: number, out: number) => void
  offer_products: (
    values: number,
    rows: number,
    rowCount: number,
    columns: number,
    columnCount: number,
    upper: number,
    bounds: number,
    indices: number,
    similarities: number,
    least: number,
    k: number,
  ) => void
  above: (values: number, bounds: number, count: number, bound: number, out: number) => number
}

const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi }

/** Once for the process, so that what V8 has optimised stays so. */
let compiled: object | undefined

const pageBytes = 65_536
const mostPages = 65_536
const unrolledValues = 16

/**
 * Copies `rows`, [count × dims] row-major float32. Sums are taken in a fixed order, so that the same rows give the same bits
 * anywhere. Throws RangeError above 4 GiB, which is 2.5 million rows of 384.
 */
export function openRowMemory(rows: Float32Array, dims: number, sizes: RowMemorySizes): RowMemory {
  const count = rows.length / dims
  const width = Math.ceil(dims / unrolledValues) * unrolledValues
  const place = placesFor(width, count, sizes)
  const memory = new WebAssembly.Memory({ initial: Math.ceil(place.end / pageBytes), maximum: mostPages })
  compiled ??= new WebAssembly.Module(Buffer.from(rowKernelsWasm, 'base64'))
  const kernels = new WebAssembly.Instance(compiled, { env: { memory } }).exports
  const floats = (at: number, length: number) => new Float32Array(memory.buffer, at, length)
  const integers = (at: number, length: number) => new Int32Array(memory.buffer, at, length)
  const all = floats(0, count * width)
  if (width === dims) all.set(rows)
  else for (let row = 0; row < count; row++) all.set(rows.subarray(row * dims, (row + 1) * dims), row * width)
  const rowNumbers = integers(place.rowNumbers, sizes.mostRows)
  const columnNumbers = integers(place.columnNumbers, sizes.mostColumns)
  const lists = emptyLists({
    k: sizes.k,
    indices: integers(place.indices, count * sizes.k),
    similarities: floats(place.similarities, count * sizes.k),
    least: floats(place.least, count),
  })
  return {
    count,
    width,
    rows: all,
    gather(side, numbers) {
      const into = side === 'left' ? place.left : place.right
      columnNumbers.set(numbers)
      kernels.gather(0, width * 4, place.columnNumbers, numbers.length, into)
      return floats(into, numbers.length * width)
    },
    products: floats(place.products, sizes.mostProducts),
    lists,
    offerProducts(rows, columns, half) {
      rowNumbers.set(rows)
      columnNumbers.set(columns)
      kernels.offer_products(
        place.products,
        place.rowNumbers,
        rows.length,
        place.columnNumbers,
        columns.length,
        half === 'upper' ? 1 : 0,
        place.bounds,
        place.indices,
        place.similarities,
        place.least,
        sizes.k,
      )
    },
    bounds: floats(place.bounds, sizes.mostColumns),
    numbers: integers(place.numbers, sizes.mostColumns),
    compared: floats(place.compared, sizes.mostColumns),
    compare: (row, others) => kernels.dots(0, width * 4, row, place.numbers, others, place.compared),
    above: (from, firstColumn, columns, bound) =>
      kernels.above(place.products + from * 4, place.bounds + firstColumn * 4, columns, bound, place.numbers),
  }
}

/** Addresses in bytes, each a multiple of 64. */
function placesFor(width: number, count: number, sizes: RowMemorySizes) {
  let end = count * width * 4
  const take = (values: number) => {
    const at = end
    end += Math.ceil(values / unrolledValues) * unrolledValues * 4
    return at
  }
  const places = {
    left: take(sizes.mostLeft * width),
    right: take(sizes.mostRight * width),
    products: take(sizes.mostProducts),
    rowNumbers: take(sizes.mostRows),
    columnNumbers: take(sizes.mostColumns),
    bounds: take(sizes.mostColumns),
    numbers: take(sizes.mostColumns),
    compared: take(sizes.mostColumns),
    indices: take(count * sizes.k),
    similarities: take(count * sizes.k),
    least: take(count),
  }
  if (end > mostPages * pageBytes) {
    throw new RangeError(
      `${count} rows of ${width} take ${end} bytes, expected at most 4 GiB: fewer dimensions or rows`,
    )
  }
  return { ...places, end }
}
