import '../no-telemetry.ts'
import * as ort from 'onnxruntime-node'
import { encodeOnnxModel, type OnnxGraph, type OnnxValue } from './onnx-model.ts'

type Device = 'cpu' | 'cuda' | 'auto'

export type ProductOptions = {
  device?: Device
  /** Threads of the CPU; by default as many as it has cores */
  threads?: number
}

/**
 * Matrix products by ONNX Runtime, on a graph of one node written here as bytes. All matrices are row-major float32, and
 * products are taken with the transposed right side: `a [m × dims] · b [n × dims]ᵀ`.
 */
export type Products = {
  device: 'cpu' | 'cuda'
  /** [m × n]. With `into` the values are written there, and what is returned is its first m × n. */
  multiply(a: Float32Array, b: Float32Array, dims: number, into?: Float32Array): Promise<Float32Array>
  close(): Promise<void>
}

export async function openProducts(options: ProductOptions = {}): Promise<Products> {
  const { session, device } = await openSession(options)
  return {
    device,
    async multiply(a, b, dims, into) {
      const size = [a.length / dims, b.length / dims]
      const values = into?.subarray(0, size[0]! * size[1]!) ?? new Float32Array(size[0]! * size[1]!)
      const feeds = { a: matrix(a, dims), b: matrix(b, dims) }
      await session.run(feeds, { values: new ort.Tensor('float32', values, size) })
      return values
    },
    close: () => session.release(),
  }
}

async function openSession({ device = 'auto', threads }: ProductOptions) {
  if (device !== 'cpu') {
    try {
      return { session: await createSession('cuda', threads), device: 'cuda' as const }
    } catch (cause) {
      if (device === 'cuda')
        throw new Error('no CUDA device is usable by ONNX Runtime: set it up, or ask for cpu', { cause })
    }
  }
  return { session: await createSession('cpu', threads), device: 'cpu' as const }
}

function createSession(provider: 'cpu' | 'cuda', threads: number | undefined): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(encodeOnnxModel(graph), {
    executionProviders: [provider],
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    enableCpuMemArena: false,
    logSeverityLevel: 4,
  })
}

const float = (name: string, ...shape: string[]): OnnxValue => ({ name, type: 'float', shape })

const graph: OnnxGraph = {
  name: 'multiply',
  opset: 17,
  nodes: [{ op: 'Gemm', inputs: ['a', 'b'], outputs: ['values'], attributes: { transB: 1 } }],
  inputs: [float('a', 'm', 'd'), float('b', 'n', 'd')],
  outputs: [float('values', 'm', 'n')],
}

function matrix(values: Float32Array, dims: number): ort.Tensor {
  return new ort.Tensor('float32', values, [values.length / dims, dims])
}
