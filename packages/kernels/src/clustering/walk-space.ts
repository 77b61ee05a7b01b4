import type { Multiply } from '../multiply.ts'
import type { Graph } from './neighbour-graph.ts'
import { takeRows } from './vectors.ts'

/**
 * The space in which clusters are formed. Communities are where a random walk on the neighbour graph stays; here each node is
 * what such a walk from it sees: the mean of the embeddings over six steps, half of each step staying. The embeddings are
 * centred and taken along their principal axes first, which costs a sixth and changes silhouettes by less than 0.01.
 */
export type WalkSpace = {
  dims: number
  /** [pages × dims] row-major, unit length */
  vectors: Float32Array
}

const mostAxes = 64
const walkSteps = 6
const sampleRows = 4_096
const axisIterations = 4
const rowsAtOnce = 4_096

/** `rows` are the page numbers of the graph's nodes, `nodeOfPage` the node of each page. */
export async function walkSpace(
  vectors: Float32Array,
  dims: number,
  graph: Graph,
  nodeOfPage: Int32Array,
  multiply: Multiply,
): Promise<WalkSpace> {
  const pages = nodeOfPage.length
  const rows = new Int32Array(graph.nodes)
  for (let page = pages - 1; page >= 0; page--) rows[nodeOfPage[page]!] = page
  const nodes = takeRows(vectors, dims, rows)
  const axes = Math.min(mostAxes, dims)
  const mean = meanRow(nodes, dims)
  const basis = await principalAxes(nodes, dims, mean, axes, multiply)
  let space = await project(nodes, dims, mean, basis, axes, multiply)
  for (let step = 0; step < walkSteps; step++) space = walk(space, axes, graph)
  const ofPages = new Float32Array(pages * axes)
  for (let page = 0; page < pages; page++) {
    ofPages.set(space.subarray(nodeOfPage[page]! * axes, (nodeOfPage[page]! + 1) * axes), page * axes)
  }
  return { dims: axes, vectors: ofPages }
}

function walk(from: Float32Array, dims: number, { nodes, starts, targets, weights }: Graph): Float32Array {
  const to = new Float32Array(from.length)
  for (let node = 0; node < nodes; node++) {
    let mass = 0
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) mass += weights[edge]!
    const base = node * dims
    if (mass === 0) {
      to.set(from.subarray(base, base + dims), base)
      continue
    }
    for (let j = 0; j < dims; j++) to[base + j] = from[base + j]! / 2
    for (let edge = starts[node]!; edge < starts[node + 1]!; edge++) {
      const share = weights[edge]! / (2 * mass)
      const other = targets[edge]! * dims
      for (let j = 0; j < dims; j++) to[base + j]! += share * from[other + j]!
    }
  }
  return normaliseRows(to, dims)
}

/** By subspace iteration on a sample: the first axes to a few percent, which is all that a projection needs. */
async function principalAxes(
  rows: Float32Array,
  dims: number,
  mean: Float64Array,
  axes: number,
  multiply: Multiply,
): Promise<Float32Array> {
  const all = rows.length / dims
  const count = Math.min(all, sampleRows)
  const sample = new Float32Array(count * dims)
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * all) / count) * dims
    for (let j = 0; j < dims; j++) sample[i * dims + j] = rows[from + j]! - mean[j]!
  }
  const columns = transpose(sample, count, dims)
  let basis: Float32Array = new Float32Array(axes * dims)
  for (let axis = 0; axis < axes; axis++) for (let j = 0; j < dims; j++) basis[axis * dims + j] = cosine(axis, j, dims)
  for (let i = 0; i < axisIterations; i++) {
    const along = transpose(await multiply(sample, orthonormal(basis, dims), dims), count, axes)
    basis = await multiply(along, columns, count)
  }
  return orthonormal(basis, dims)
}

/** Rows of the discrete cosine transform: a fixed start that favours no direction. */
function cosine(axis: number, j: number, dims: number): number {
  return Math.cos((Math.PI * (j + 0.5) * (axis + 1)) / dims)
}

/** Gram–Schmidt on the rows; what is left of a dependent row is dropped to zero. */
function orthonormal(basis: Float32Array, dims: number): Float32Array {
  const result = basis.slice()
  for (let row = 0; row < result.length; row += dims) {
    let before = 0
    for (let j = 0; j < dims; j++) before += result[row + j]! ** 2
    for (let earlier = 0; earlier < row; earlier += dims) {
      let overlap = 0
      for (let j = 0; j < dims; j++) overlap += result[row + j]! * result[earlier + j]!
      for (let j = 0; j < dims; j++) result[row + j]! -= overlap * result[earlier + j]!
    }
    let square = 0
    for (let j = 0; j < dims; j++) square += result[row + j]! ** 2
    const scale = square <= before * 1e-8 ? 0 : 1 / Math.sqrt(square)
    for (let j = 0; j < dims; j++) result[row + j]! *= scale
  }
  return result
}

async function project(
  rows: Float32Array,
  dims: number,
  mean: Float64Array,
  basis: Float32Array,
  axes: number,
  multiply: Multiply,
): Promise<Float32Array> {
  const count = rows.length / dims
  const projected = new Float32Array(count * axes)
  const centre = new Float64Array(axes)
  for (let axis = 0; axis < axes; axis++) {
    for (let j = 0; j < dims; j++) centre[axis]! += basis[axis * dims + j]! * mean[j]!
  }
  for (let first = 0; first < count; first += rowsAtOnce) {
    const block = rows.subarray(first * dims, Math.min(count, first + rowsAtOnce) * dims)
    projected.set(await multiply(block, basis, dims), first * axes)
  }
  for (let at = 0; at < projected.length; at++) projected[at]! -= centre[at % axes]!
  return normaliseRows(projected, axes)
}

function meanRow(rows: Float32Array, dims: number): Float64Array {
  const mean = new Float64Array(dims)
  const count = rows.length / dims
  for (let row = 0; row < count; row++) for (let j = 0; j < dims; j++) mean[j]! += rows[row * dims + j]! / count
  return mean
}

function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column]!
  }
  return result
}

function normaliseRows(rows: Float32Array, dims: number): Float32Array {
  for (let first = 0; first < rows.length; first += dims) {
    let square = 0
    for (let j = first; j < first + dims; j++) square += rows[j]! * rows[j]!
    if (square === 0) continue
    const scale = 1 / Math.sqrt(square)
    for (let j = first; j < first + dims; j++) rows[j]! *= scale
  }
  return rows
}
