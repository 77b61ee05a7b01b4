import '../no-telemetry.ts'

import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { ModelRefused } from '../models/model-refused.ts'
import { lowestCosine, mayClip, type Products } from './clipped-products.ts'
import type { ModelSpec } from './model-spec.ts'
import { normalizeInPlace, type Pooling, poolTokens } from './pooling.ts'
import { type Device, openSession } from './session.ts'
import { openTokenizer, type TextTokenizer } from './text-tokenizer.ts'
import { type BatchSharing, planTokenBatches } from './token-batches.ts'

/** What a call of the encoder has done. */
export interface EncodeCounts {
  texts: number
  tokens: number
  paddedTokens: number
}

/**
 * Tokeniser and session of one model on one thread: texts in, vectors out. It blocks while it computes, so it lives in a worker.
 *
 * On the CPU a text's vector is the same bit for bit in whatever batch: only texts of equal length share one, as padding may change the last
 * bits and costs more than it saves, and where a model's arithmetic depends on its batch (dynamic quantisation takes its scales from it;
 * found by a probe when opening) every text goes alone. On CUDA batches are padded: one text at a time leaves most of it idle.
 */
export class TextEncoder {
  readonly spec: ModelSpec
  readonly tokenizer: TextTokenizer
  readonly device: Device
  readonly fallback: string | undefined
  /** Where products of 8 bits would clip on this processor and so are made exactly: the lowest cosine that clipping gave. */
  clippedCosine: number | undefined
  #session: InferenceSession
  #budget: number
  #sharing: BatchSharing
  #output: string
  #pooling: Pooling

  private constructor(spec: ModelSpec, tokenizer: TextTokenizer, opened: Awaited<ReturnType<typeof openSession>>) {
    this.spec = spec
    this.device = opened.device
    this.fallback = opened.fallback
    this.#session = opened.session
    this.tokenizer = tokenizer
    ;[this.#output, this.#pooling] = chooseOutput(opened.session, spec)
    // With MiniLM int8 a token takes the same time in runs of 32 to 1,024 tokens: 512 make little of what a run costs beside, and of memory.
    this.#budget = opened.device === 'cuda' ? 16_384 : 512
    this.#sharing = opened.device === 'cuda' ? 'padded' : 'equal'
  }

  static async open(
    spec: ModelSpec,
    device: Device | 'auto',
    threads: number,
    products: Products,
  ): Promise<TextEncoder> {
    const tokenizer = await openTokenizer(spec)
    const session = await openSession(spec.onnxFile, device, threads, products === 'exact')
    const encoder = new TextEncoder(spec, tokenizer, session)
    const vectors = await encoder.#probe()
    if (products !== 'check' || encoder.device !== 'cpu' || !(await mayClip(spec.onnxFile))) return encoder
    const exact = new TextEncoder(spec, tokenizer, await openSession(spec.onnxFile, 'cpu', threads, true))
    exact.clippedCosine = lowestCosine(vectors, await exact.#probe())
    const [kept, other] = exact.clippedCosine === undefined ? [encoder, exact] : [exact, encoder]
    await other.close()
    return kept
  }

  /** Vectors [inputs × dims] row-major of token id lists, of unit length where the model's files say so; zeros for no token. */
  async encode(inputs: readonly (readonly number[])[], counts: EncodeCounts): Promise<Float32Array> {
    const { dims } = this.spec
    const vectors = new Float32Array(inputs.length * dims)
    const lengths = inputs.map((ids) => ids.length)
    for (const batch of planTokenBatches(lengths, this.#budget, this.#sharing)) {
      if (batch.tokens === 0) continue
      await this.#run(
        batch.rows.map((row) => inputs[row]!),
        batch.tokens,
        (k, vector) => {
          vectors.set(vector, batch.rows[k]! * dims)
        },
      )
      counts.texts += batch.rows.length
      counts.paddedTokens += batch.rows.length * batch.tokens
      for (const row of batch.rows) counts.tokens += lengths[row]!
    }
    return vectors
  }

  async close(): Promise<void> {
    await this.#session.release()
  }

  async #run(
    rows: readonly (readonly number[])[],
    tokens: number,
    take: (row: number, vector: Float64Array) => void,
  ): Promise<void> {
    const { dims } = this.spec
    const result = await this.#session.run(this.#feeds(rows, tokens), [this.#output])
    const output = result[this.#output]!
    const data = output.data as Float32Array
    const shape = this.#pooling === 'graph' ? [rows.length, dims] : [rows.length, tokens, dims]
    if (String(output.dims) !== String(shape))
      throw new ModelRefused(
        `${this.spec.onnxFile} gives ${this.#output} of shape ${output.dims.join(' × ')}, expected ${shape.join(' × ')}: is ${dims} its hidden_size?`,
      )
    const vector = new Float64Array(dims)
    for (let k = 0; k < rows.length; k++) {
      if (this.#pooling === 'graph') for (let d = 0; d < dims; d++) vector[d] = data[k * dims + d]!
      else poolTokens(data, k * tokens * dims, rows[k]!.length, this.#pooling, vector)
      if (!vector.every(Number.isFinite))
        throw new ModelRefused(`${this.spec.onnxFile} gives vectors that are no finite numbers`)
      if (this.spec.normalize) normalizeInPlace(vector)
      take(k, vector)
    }
    output.dispose()
  }

  #feeds(rows: readonly (readonly number[])[], tokens: number): Record<string, Tensor> {
    const size = rows.length * tokens
    const ids = new BigInt64Array(size).fill(BigInt(this.spec.padTokenId))
    const mask = new BigInt64Array(size)
    for (const [k, row] of rows.entries()) {
      for (let t = 0; t < row.length; t++) {
        ids[k * tokens + t] = BigInt(row[t]!)
        mask[k * tokens + t] = 1n
      }
    }
    const shape = [rows.length, tokens]
    const feeds: Record<string, Tensor> = {}
    for (const name of this.#session.inputNames) {
      if (name === 'input_ids') feeds[name] = new Tensor('int64', ids, shape)
      else if (name === 'attention_mask') feeds[name] = new Tensor('int64', mask, shape)
      else feeds[name] = new Tensor('int64', new BigInt64Array(size), shape)
    }
    return feeds
  }

  /**
   * Runs three texts of one length alone and together: they must fit the spec, and tell whether batches may be shared.
   * @returns their vectors
   */
  async #probe(): Promise<Float64Array[]> {
    const probes = PROBES.map((text) => this.tokenizer.tokenize(text, PROBE_TOKENS))
    const tokens = Math.min(...probes.map((ids) => ids.length))
    for (const ids of probes) ids.length = tokens
    const together: Float64Array[] = []
    try {
      await this.#run(probes, tokens, (_, vector) => together.push(vector.slice()))
    } catch (cause) {
      if (cause instanceof ModelRefused) throw cause
      throw new ModelRefused(`${this.spec.onnxFile} does not run: ${(cause as Error).message.split('\n')[0]}`, {
        cause,
      })
    }
    let same = true
    for (const [k, probe] of probes.entries()) {
      await this.#run([probe], tokens, (_, vector) => {
        same &&= vector.every((value, d) => value === together[k]![d])
      })
    }
    if (!same && this.device === 'cpu') this.#sharing = 'alone'
    return together
  }
}

const PROBE_TOKENS = 32
const PROBES = [
  'Tags, labels, and the topics of pages. '.repeat(8),
  'A wiki page about the history of the printing press, its makers, and what became of them. '.repeat(4),
  'Installing: run the command below, wait until the database answers, then open the address that it prints (see §4.2).'.repeat(
    4,
  ),
]

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids']

/** The output to read: token vectors where there are some (pooled here, in a fixed order), else the model's own vector. */
function chooseOutput(session: InferenceSession, spec: ModelSpec): [string, Pooling] {
  const foreign = session.inputNames.filter((name) => !INPUTS.includes(name))
  if (foreign.length > 0 || !session.inputNames.includes('input_ids')) {
    throw new ModelRefused(
      `${spec.onnxFile} takes ${session.inputNames.join(', ')}: expected ${INPUTS.join(', ')} as of a text encoder`,
    )
  }
  const outputs = session.outputMetadata.filter((o) => o.isTensor)
  const width = (o: (typeof outputs)[number]) => (o.isTensor ? o.shape.at(-1) : undefined)
  const rank = (n: number) => outputs.find((o) => o.isTensor && o.shape.length === n && o.type === 'float32')
  const named = ['last_hidden_state', 'token_embeddings', 'sentence_embedding']
  const chosen =
    outputs.find((o) => o.name === named[0]) ?? outputs.find((o) => o.name === named[1]) ?? rank(3) ?? rank(2)
  if (chosen?.isTensor !== true || chosen.type !== 'float32') {
    throw new ModelRefused(
      `${spec.onnxFile} puts out ${session.outputNames.join(', ')}: expected float32 token vectors`,
    )
  }
  const dims = width(chosen)
  if (typeof dims === 'number' && dims !== spec.dims) {
    throw new ModelRefused(`${spec.onnxFile} gives vectors of ${dims} dimensions, config.json says ${spec.dims}`)
  }
  return [chosen.name, chosen.shape.length === 3 ? spec.pooling : 'graph']
}
