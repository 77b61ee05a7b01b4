import * as ort from 'onnxruntime-node'
import { encodeOnnxModel, type OnnxGraph, type OnnxNode, type OnnxValue } from './onnx-model.ts'

type Device = 'cpu' | 'cuda' | 'auto'

export type ProductOptions = {
  device?: Device
  /** Threads of the CPU; by default as many as it has cores */
  threads?: number
}

/** The best columns of each row of a product, best first; [rows × k] row-major. */
export type Best = { indices: Int32Array; values: Float32Array }

/**
 * Matrix products by ONNX Runtime, on graphs of a few nodes written here as bytes. All matrices are row-major float32, and
 * products are taken with the transposed right side: `a [m × dims] · b [n × dims]ᵀ`.
 */
export type Products = {
  device: 'cpu' | 'cuda'
  /** All values, [m × n] */
  multiply(a: Float32Array, b: Float32Array, dims: number): Promise<Float32Array>
  /** The k largest values of each row */
  best(a: Float32Array, b: Float32Array, dims: number, k: number): Promise<Best>
  /** The k largest values of each row, between two selections of the rows of one matrix */
  bestWithin(rows: Float32Array, dims: number, left: Int32Array, right: Int32Array, k: number): Promise<Best>
  close(): Promise<void>
}

export async function openProducts(options: ProductOptions = {}): Promise<Products> {
  const { sessions, device } = await openSessions(options)
  const run = async (graph: GraphName, feeds: Record<string, ort.Tensor>) => sessions[graph].run(feeds)
  return {
    device,
    async multiply(a, b, dims) {
      const { values } = await run('multiply', { a: matrix(a, dims), b: matrix(b, dims) })
      return floats(values)
    },
    async best(a, b, dims, k) {
      const { values, indices } = await run('best', { a: matrix(a, dims), b: matrix(b, dims), k: count(k) })
      return { values: floats(values), indices: integers(indices) }
    },
    async bestWithin(rows, dims, left, right, k) {
      const feeds = { rows: matrix(rows, dims), left: numbers(left), right: numbers(right), k: count(k) }
      const { values, indices } = await run('bestWithin', feeds)
      return { values: floats(values), indices: integers(indices) }
    },
    async close() {
      await Promise.all(Object.values(sessions).map((session) => session.release()))
    },
  }
}

type GraphName = 'multiply' | 'best' | 'bestWithin'
type Sessions = Record<GraphName, ort.InferenceSession>

async function openSessions({ device = 'auto', threads }: ProductOptions) {
  if (device !== 'cpu') {
    try {
      return { sessions: await createSessions('cuda', threads), device: 'cuda' as const }
    } catch (cause) {
      if (device === 'cuda')
        throw new Error('no CUDA device is usable by ONNX Runtime: set it up, or ask for cpu', { cause })
    }
  }
  return { sessions: await createSessions('cpu', threads), device: 'cpu' as const }
}

async function createSessions(provider: 'cpu' | 'cuda', threads: number | undefined): Promise<Sessions> {
  const create = (name: GraphName) =>
    ort.InferenceSession.create(encodeOnnxModel(graphs[name]), {
      executionProviders: [provider],
      ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      enableCpuMemArena: false,
      logSeverityLevel: 4,
    })
  const [multiply, best, bestWithin] = await Promise.all([create('multiply'), create('best'), create('bestWithin')])
  return { multiply, best, bestWithin }
}

const float = (name: string, ...shape: string[]): OnnxValue => ({ name, type: 'float', shape })
const whole = (name: string, ...shape: string[]): OnnxValue => ({ name, type: 'int32', shape })
const howMany: OnnxValue = { name: 'k', type: 'int64', shape: [1] }
const bestOutputs = [float('values', 'm', 'k'), whole('indices', 'm', 'k')]
const product = (a: string, b: string, to: string) => ({
  op: 'Gemm',
  inputs: [a, b],
  outputs: [to],
  attributes: { transB: 1 },
})
const topK: OnnxNode[] = [
  { op: 'TopK', inputs: ['all', 'k'], outputs: ['values', 'long'], attributes: { axis: 1, largest: 1, sorted: 1 } },
  { op: 'Cast', inputs: ['long'], outputs: ['indices'], attributes: { to: 6 } },
]
const gather = (index: string, to: string) => ({ op: 'Gather', inputs: ['rows', index], outputs: [to] })

const graphs: Record<GraphName, OnnxGraph> = {
  multiply: {
    name: 'multiply',
    opset: 17,
    nodes: [product('a', 'b', 'values')],
    inputs: [float('a', 'm', 'd'), float('b', 'n', 'd')],
    outputs: [float('values', 'm', 'n')],
  },
  best: {
    name: 'best',
    opset: 17,
    nodes: [product('a', 'b', 'all'), ...topK],
    inputs: [float('a', 'm', 'd'), float('b', 'n', 'd'), howMany],
    outputs: bestOutputs,
  },
  bestWithin: {
    name: 'bestWithin',
    opset: 17,
    nodes: [gather('left', 'a'), gather('right', 'b'), product('a', 'b', 'all'), ...topK],
    inputs: [float('rows', 'r', 'd'), whole('left', 'm'), whole('right', 'n'), howMany],
    outputs: bestOutputs,
  },
}

function matrix(values: Float32Array, dims: number): ort.Tensor {
  return new ort.Tensor('float32', values, [values.length / dims, dims])
}

function numbers(values: Int32Array): ort.Tensor {
  return new ort.Tensor('int32', values, [values.length])
}

function count(k: number): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.of(BigInt(k)), [1])
}

function floats(tensor: ort.OnnxValue | undefined): Float32Array {
  return (tensor as ort.Tensor).data as Float32Array
}

function integers(tensor: ort.OnnxValue | undefined): Int32Array {
  return (tensor as ort.Tensor).data as Int32Array
}
