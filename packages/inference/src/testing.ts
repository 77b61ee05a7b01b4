/**
 * A language model of one attention layer and thirty words, for tests: built here byte by byte as ONNX (protocol buffers, onnx.proto3),
 * with a tokenizer and a chat template. `decodeByHand` is the same model without a cache, to check against.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const DIMS = 8
const SPECIAL = ['[PAD]', '[UNK]', '[EOS]']
const WORDS =
  'user system assistant bread yeast flour oven dough crust sourdough loaf bake rise salt water starter rye wheat crumb score steam tag topic page json'
const VOCABULARY = [...SPECIAL, ...WORDS.split(' ')]
const EOS = 2

/** Seeded numbers from -1 to 1 (mulberry32). */
function weights(count: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1
  })
}

const V = VOCABULARY.length
const EMBED = weights(V * DIMS, 1).map((x) => 2 * x)
const VALUE = weights(DIMS * DIMS, 2)
const OUT = weights(DIMS * V, 3)

/** Writes the model's folder in Hugging Face layout. */
export function writeTinyTextModel(folder: string): Promise<void> {
  return writeFolder(folder, encodeModel())
}

/** A text encoder that quantises its token vectors by what is in the batch, as dynamically quantised models do: words in, 8 dimensions out. */
export function writeTinyEncoder(folder: string): Promise<void> {
  return writeFolder(folder, encodeEncoder())
}

/** A text encoder of one product of 8 bits, with values and weights so large that it clips where two are added in 16. */
export function writeClippingEncoder(folder: string): Promise<void> {
  return writeFolder(folder, encodeClippingEncoder())
}

/** A text encoder that does not say how wide its vectors are (8), and whose vector of "salt" is no number. */
export function writeSilentEncoder(folder: string): Promise<void> {
  return writeFolder(folder, encodeSilentEncoder())
}

async function writeFolder(folder: string, onnx: Uint8Array): Promise<void> {
  await mkdir(join(folder, 'onnx'), { recursive: true })
  await writeFile(join(folder, 'onnx/model.onnx'), onnx)
  const write = (file: string, content: unknown) => writeFile(join(folder, file), JSON.stringify(content))
  await write('config.json', {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_size: DIMS,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    num_hidden_layers: 1,
    vocab_size: V,
    max_position_embeddings: 2048,
    eos_token_id: EOS,
    pad_token_id: 0,
  })
  await write('generation_config.json', { eos_token_id: EOS, pad_token_id: 0 })
  await write('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    unk_token: '[UNK]',
    pad_token: '[PAD]',
    eos_token: '[EOS]',
    chat_template: '{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}assistant',
  })
  await write('tokenizer.json', {
    version: '1.0',
    added_tokens: SPECIAL.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(VOCABULARY.map((word, id) => [word, id])),
    },
  })
}

/** What the model answers to these words, computed anew for every token from all before it. */
export function decodeByHand(words: readonly string[], maxTokens: number): string[] {
  const ids = words.map((word) => Math.max(1, VOCABULARY.indexOf(word)))
  const answer: number[] = []
  while (answer.length < maxTokens && answer.at(-1) !== EOS) answer.push(nextToken([...ids, ...answer]))
  return answer.filter((id) => id !== EOS).map((id) => VOCABULARY[id]!)
}

function nextToken(ids: readonly number[]): number {
  const row = (id: number) => EMBED.subarray(id * DIMS, (id + 1) * DIMS)
  const query = row(ids.at(-1)!)
  const scores = ids.map((id) => Math.exp(row(id).reduce((sum, x, d) => sum + x * query[d]!, 0)))
  const total = scores.reduce((a, b) => a + b, 0)
  const context = Float64Array.from({ length: DIMS }, (_, d) =>
    ids.reduce((sum, id, k) => {
      const value = row(id).reduce((v, x, e) => v + x * VALUE[e * DIMS + d]!, 0)
      return sum + (scores[k]! / total) * value
    }, 0),
  )
  const logits = Array.from({ length: V }, (_, w) => context.reduce((sum, x, d) => sum + x * OUT[d * V + w]!, 0))
  return logits.indexOf(Math.max(...logits))
}

function encodeModel(): Uint8Array {
  const cache = ['batch', 1, 'past', DIMS]
  const graph = [
    ...[
      node('Gather', ['embed', 'input_ids'], ['x']),
      node('Unsqueeze', ['x', 'head'], ['query']),
      node('MatMul', ['x', 'value'], ['v']),
      node('Unsqueeze', ['v', 'head'], ['values']),
      node('Concat', ['past_key_values.0.key', 'query'], ['present.0.key'], { axis: 2 }),
      node('Concat', ['past_key_values.0.value', 'values'], ['present.0.value'], { axis: 2 }),
      node('Transpose', ['present.0.key'], ['keys'], { perm: [0, 1, 3, 2] }),
      node('MatMul', ['query', 'keys'], ['scores']),
      node('Softmax', ['scores'], ['attention'], { axis: 3 }),
      node('MatMul', ['attention', 'present.0.value'], ['context']),
      node('Squeeze', ['context', 'head'], ['merged']),
      node('MatMul', ['merged', 'out'], ['logits']),
    ].flatMap((bytes) => message(1, bytes)),
    ...text(2, 'tiny'),
    ...[
      tensor('embed', 1, [V, DIMS], new Uint8Array(EMBED.buffer)),
      tensor('value', 1, [DIMS, DIMS], new Uint8Array(VALUE.buffer)),
      tensor('out', 1, [DIMS, V], new Uint8Array(OUT.buffer)),
      tensor('head', 7, [1], new Uint8Array(BigInt64Array.of(1n).buffer)),
    ].flatMap((bytes) => message(5, bytes)),
    ...message(11, value('input_ids', 7, ['batch', 'tokens'])),
    ...message(11, value('past_key_values.0.key', 1, cache)),
    ...message(11, value('past_key_values.0.value', 1, cache)),
    ...message(12, value('logits', 1, ['batch', 'tokens', V])),
    ...message(12, value('present.0.key', 1, ['batch', 1, 'total', DIMS])),
    ...message(12, value('present.0.value', 1, ['batch', 1, 'total', DIMS])),
  ]
  return ofGraph(graph)
}

function encodeEncoder(): Uint8Array {
  return ofGraph([
    ...[
      node('Gather', ['embed', 'input_ids'], ['x']),
      node('DynamicQuantizeLinear', ['x'], ['quantised', 'scale', 'zero']),
      node('DequantizeLinear', ['quantised', 'scale', 'zero'], ['last_hidden_state']),
    ].flatMap((bytes) => message(1, bytes)),
    ...text(2, 'tiny'),
    ...message(5, tensor('embed', 1, [V, DIMS], new Uint8Array(EMBED.buffer))),
    ...message(11, value('input_ids', 7, ['batch', 'tokens'])),
    ...message(12, value('last_hidden_state', 1, ['batch', 'tokens', DIMS])),
  ])
}

function encodeSilentEncoder(): Uint8Array {
  const tokens = EMBED.slice()
  tokens[VOCABULARY.indexOf('salt') * DIMS] = Number.NaN
  return ofGraph([
    ...[
      node('Gather', ['embed', 'input_ids'], ['x']),
      node('Shape', ['input_ids'], ['places']),
      node('Concat', ['places', 'rest'], ['shape'], { axis: 0 }),
      node('Reshape', ['x', 'shape'], ['last_hidden_state']),
    ].flatMap((bytes) => message(1, bytes)),
    ...text(2, 'silent'),
    ...message(5, tensor('rest', 7, [1], new Uint8Array(BigInt64Array.of(-1n).buffer))),
    ...message(5, tensor('embed', 1, [V, DIMS], new Uint8Array(tokens.buffer))),
    ...message(11, value('input_ids', 7, ['batch', 'tokens'])),
    ...message(12, value('last_hidden_state', 1, ['batch', 'tokens', 'width'])),
  ])
}

/** Eight values from 0.5 to 1 a token; half of the eight sums have every value × 127, half have the last four × −100. */
function encodeClippingEncoder(): Uint8Array {
  const tokens = weights(V * DIMS, 4).map((x) => 0.75 + x / 4)
  const columns = Int8Array.from({ length: DIMS * DIMS }, (_, i) => (i % DIMS < 4 || i < DIMS * 4 ? 127 : -100))
  return ofGraph([
    ...[
      node('Gather', ['embed', 'input_ids'], ['x']),
      node('DynamicQuantizeLinear', ['x'], ['quantised', 'scale', 'zero']),
      node('MatMulInteger', ['quantised', 'columns', 'zero'], ['sums']),
      node('Cast', ['sums'], ['last_hidden_state'], { to: 1 }),
    ].flatMap((bytes) => message(1, bytes)),
    ...text(2, 'clipping'),
    ...message(5, tensor('embed', 1, [V, DIMS], new Uint8Array(tokens.buffer))),
    ...message(5, tensor('columns', 3, [DIMS, DIMS], new Uint8Array(columns.buffer))),
    ...message(11, value('input_ids', 7, ['batch', 'tokens'])),
    ...message(12, value('last_hidden_state', 1, ['batch', 'tokens', DIMS])),
  ])
}

function ofGraph(graph: readonly number[]): Uint8Array {
  return Uint8Array.from([...integer(1, 9), ...message(7, graph), ...message(8, [...text(1, ''), ...integer(2, 17)])])
}

function node(op: string, inputs: string[], outputs: string[], attributes: Record<string, number | number[]> = {}) {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, v]) =>
      message(
        5,
        Array.isArray(v)
          ? [...text(1, name), ...v.flatMap((x) => integer(8, x)), ...integer(20, 7)]
          : [...text(1, name), ...integer(3, v), ...integer(20, 2)],
      ),
    ),
  ]
}

function tensor(name: string, type: number, dims: number[], data: Uint8Array): number[] {
  return [...dims.flatMap((d) => integer(1, d)), ...integer(2, type), ...text(8, name), ...message(9, [...data])]
}

function value(name: string, type: number, shape: (number | string)[]): number[] {
  const dims = shape.flatMap((d) => message(1, typeof d === 'number' ? integer(1, d) : text(2, d)))
  return [...text(1, name), ...message(2, message(1, [...integer(1, type), ...message(2, dims)]))]
}

function message(field: number, bytes: readonly number[]): number[] {
  return [...varint((field << 3) | 2), ...varint(bytes.length), ...bytes]
}

function text(field: number, content: string): number[] {
  return message(field, [...new TextEncoder().encode(content)])
}

function integer(field: number, content: number): number[] {
  return [...varint(field << 3), ...varint(content)]
}

function varint(content: number): number[] {
  const bytes: number[] = []
  let rest = content
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}
