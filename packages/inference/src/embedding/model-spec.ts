import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ModelRefused } from '../models/model-refused.ts'
import { isExternalData, type ModelKind } from '../models/obtain-model.ts'
import type { Pooling } from './pooling.ts'

/** What a sentence-embedding model's own files say about how it is to be used. */
export interface ModelSpec {
  readonly folder: string
  readonly onnxFile: string
  /** Of the ONNX file and the weights that lie beside it: what a session holds in memory. */
  readonly weightBytes: number
  /** Name and content: two models with the same id give the same vectors. */
  readonly modelId: string
  readonly dims: number
  /** Longest text in tokens, special tokens included. */
  readonly maxTokens: number
  readonly pooling: Pooling
  /** Whether the model's files say so, or say nothing and the mean is taken */
  readonly poolingNamed: boolean
  readonly normalize: boolean
  readonly lowerCase: boolean
  readonly padTokenId: number
  readonly documentPrefix: string
  readonly queryPrefix: string
}

/**
 * ONNX files in the order in which they are taken when the folder has several: quantised ones first, as two to three
 * times the speed costs under 1 % of cosine; `EMBEDDING_MODEL_FILE` chooses another.
 */
function onnxCandidates(arch: string = process.arch): string[] {
  const own = arch === 'arm64' ? ['model_qint8_arm64.onnx'] : ['model_qint8_avx512_vnni.onnx', 'model_quint8_avx2.onnx']
  const names = ['model_int8.onnx', 'model_quantized.onnx', ...own, 'model.onnx', 'model_fp16.onnx']
  return names.flatMap((name) => [name, `onnx/${name}`])
}

/** A sentence-embedding model, as it lies in a folder or on the hub. */
export const EMBEDDING_MODEL: ModelKind = {
  describing: [
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'modules.json',
    '1_Pooling/config.json',
    'sentence_bert_config.json',
    'config_sentence_transformers.json',
  ],
  onnx: onnxCandidates(),
}

/** Reads a folder in the usual Hugging Face layout. `recipe` is what else decides a vector; it goes into the model's id. */
export async function readModelSpec(
  folder: string,
  {
    modelFile,
    name = basename(resolve(folder)),
    recipe = '',
  }: { modelFile?: string; name?: string; recipe?: string } = {},
): Promise<ModelSpec> {
  if (!existsSync(folder)) throw new ModelRefused(`embedding model folder ${folder} does not exist`)
  const config = await readJson(folder, 'config.json')
  if (config === undefined) throw new ModelRefused(`${folder} has no config.json: expected a Hugging Face model folder`)
  if (!existsSync(join(folder, 'tokenizer.json'))) {
    throw new ModelRefused(`${folder} has no tokenizer.json: only models with a fast tokenizer fit`)
  }
  const tokenizerConfig = (await readJson(folder, 'tokenizer_config.json')) ?? {}
  const bert = (await readJson(folder, 'sentence_bert_config.json')) ?? {}
  const prompts = (await readJson(folder, 'config_sentence_transformers.json')) ?? {}
  const onnxFile = findOnnx(folder, modelFile)
  const modules = modulesOf(await readJson(folder, 'modules.json'))
  const poolingFile = join(modules.get('Pooling') ?? '1_Pooling', 'config.json')
  const poolingConfig = await readJson(folder, poolingFile)
  if (poolingConfig === undefined && modules.has('Pooling'))
    throw new ModelRefused(`${folder} has no ${poolingFile}, which its modules.json names: how it pools is not known`)
  const pooling = poolingOf(poolingConfig, join(folder, poolingFile))
  const prefixes = prefixesOf(prompts, folder)
  if (poolingConfig?.include_prompt === false && Object.values(prefixes).some((prefix) => prefix !== '')) {
    throw new ModelRefused(`${folder} leaves its prompts out of pooling (include_prompt is false): that does not fit`)
  }
  const dims = Number(config.hidden_size ?? config.d_model ?? config.dim ?? config.n_embd)
  if (!(dims > 0)) throw new ModelRefused(`${folder}/config.json names no hidden_size: this is no text encoder`)
  const maxTokens = maxTokensOf(config, tokenizerConfig, bert)
  const padTokenId = Number(config.pad_token_id ?? 0)
  const types = [...modules.keys()]
  // All that decides a vector beside the weights and the tokenizer.
  const parts = { pooling, types, bert, prompts, recipe, dims, maxTokens, padTokenId, tokenizerConfig }
  const weights = [onnxFile, ...(await externalData(onnxFile))]
  return {
    folder,
    onnxFile,
    weightBytes: (await Promise.all(weights.map((file) => stat(file)))).reduce((sum, { size }) => sum + size, 0),
    modelId: `${name}@${await contentHash([...weights, join(folder, 'tokenizer.json')], JSON.stringify(parts))}`,
    dims,
    maxTokens,
    pooling,
    poolingNamed: poolingConfig !== undefined,
    normalize: modules.size === 0 || modules.has('Normalize'),
    lowerCase: bert.do_lower_case === true,
    padTokenId,
    ...prefixes,
  }
}

type Json = Record<string, unknown>

async function readJson(folder: string, file: string): Promise<Json | undefined> {
  const path = join(folder, file)
  if (!existsSync(path)) return undefined
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Json
  } catch (cause) {
    throw new ModelRefused(`${path} is not JSON`, { cause })
  }
}

function findOnnx(folder: string, modelFile: string | undefined): string {
  const candidates = modelFile === undefined ? EMBEDDING_MODEL.onnx : [modelFile, `onnx/${modelFile}`]
  const found = candidates.map((name) => join(folder, name)).find((path) => existsSync(path))
  if (found === undefined) throw new ModelRefused(`${folder} has no ONNX file: looked for ${candidates.join(', ')}`)
  return found
}

/** The modules by type, each with the folder that describes it; none where there is no modules.json. */
function modulesOf(modules: Json | undefined): ReadonlyMap<string, string> {
  const list = Object.values(modules ?? {}).map((m) => {
    const { type, path } = (m ?? {}) as Json
    return [String(type).split('.').at(-1)!, String(path ?? '')] as const
  })
  const unknown = list.map(([type]) => type).filter((type) => !['Transformer', 'Pooling', 'Normalize'].includes(type))
  if (unknown.length > 0) {
    throw new ModelRefused(`modules.json has ${unknown.join(', ')}: only Transformer, Pooling and Normalize fit`)
  }
  return new Map(list)
}

const POOLINGS: Record<string, Exclude<Pooling, 'graph'>> = {
  cls: 'cls',
  pooling_mode_cls_token: 'cls',
  mean: 'mean',
  pooling_mode_mean_tokens: 'mean',
  max: 'max',
  pooling_mode_max_tokens: 'max',
  lasttoken: 'last',
  pooling_mode_lasttoken: 'last',
}

/** `pooling_mode` names one or several since sentence-transformers 6; before, each had a flag of its own. */
function poolingOf(config: Json | undefined, file: string): Exclude<Pooling, 'graph'> {
  if (config === undefined) return 'mean'
  const flags = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true)
  const set = config.pooling_mode === undefined ? flags : [config.pooling_mode].flat().map(String)
  const pooling = set.length === 1 ? POOLINGS[set[0]!] : undefined
  if (pooling === undefined) {
    const found = set.join(', ') || 'none'
    throw new ModelRefused(`${file} sets ${found}: expected one of cls, mean, max, last token`)
  }
  return pooling
}

function maxTokensOf(config: Json, tokenizerConfig: Json, bert: Json): number {
  const limits = [bert.max_seq_length, tokenizerConfig.model_max_length, positionsOf(config)]
  const known = limits.map(Number).filter((n) => n > 2 && n < 1_000_000)
  return known.length > 0 ? Math.min(...known) : 512
}

/** RoBERTa and its kin count positions from pad_token_id + 1. */
function positionsOf(config: Json): unknown {
  const offset = /roberta|camembert|mpnet/u.test(String(config.model_type)) ? Number(config.pad_token_id ?? 1) + 1 : 0
  return config.max_position_embeddings === undefined ? undefined : Number(config.max_position_embeddings) - offset
}

/** As sentence-transformers finds them: a prompt by its usual name first, then the one that the model's files call its default. */
function prefixesOf(config: Json, folder: string): { documentPrefix: string; queryPrefix: string } {
  const prompts = (config.prompts ?? {}) as Json
  const prefix = (...names: string[]): string => {
    const found = [...names, String(config.default_prompt_name)].map((name) => prompts[name]).find((p) => p != null)
    if (found === undefined || typeof found === 'string') return found ?? ''
    throw new ModelRefused(`${folder}/config_sentence_transformers.json has a prompt that is no text: ${String(found)}`)
  }
  return { documentPrefix: prefix('document', 'passage', 'corpus'), queryPrefix: prefix('query') }
}

/** The files beside an ONNX file that hold weights which it doesn't hold itself: `model.onnx_data`, `model.onnx_data_1` … */
async function externalData(onnxFile: string): Promise<string[]> {
  const beside = await readdir(dirname(onnxFile))
  const own = beside.filter((name) => isExternalData(name, basename(onnxFile)))
  return own.sort().map((name) => join(dirname(onnxFile), name))
}

async function contentHash(files: readonly string[], described: string): Promise<string> {
  const hash = createHash('sha256').update(described)
  for (const file of files) {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  }
  return hash.digest('hex').slice(0, 12)
}
