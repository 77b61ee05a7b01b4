import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openEmbedder } from './embedder.ts'
import { readModelSpec } from './model-spec.ts'

const BUNDLED = new URL('../../../../models/all-MiniLM-L6-v2/', import.meta.url).pathname

describe("a model's own files", () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tagloom-model-'))
    await cp(BUNDLED, folder, { recursive: true, filter: (from) => !from.endsWith('.onnx') })
    await symlink(join(BUNDLED, 'model_int8.onnx'), join(folder, 'model.onnx'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const write = (file: string, content: unknown) => writeFile(join(folder, file), JSON.stringify(content))

  it('say dimensions, limit, pooling, normalisation and prefixes', async () => {
    await write('1_Pooling/config.json', { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false })
    await write('modules.json', [{ type: 'sentence_transformers.models.Transformer' }])
    await write('sentence_bert_config.json', { max_seq_length: 128, do_lower_case: true })
    await write('config_sentence_transformers.json', { prompts: { query: 'query: ', document: 'passage: ' } })
    expect(await readModelSpec(folder)).toMatchObject({
      dims: 384,
      maxTokens: 128,
      pooling: 'cls',
      normalize: false,
      lowerCase: true,
      queryPrefix: 'query: ',
      documentPrefix: 'passage: ',
    })
  })

  it('decide the id: the same files the same, another pooling or recipe another', async () => {
    const { modelId } = await readModelSpec(folder, { name: 'm' })
    expect((await readModelSpec(folder, { name: 'm' })).modelId).toBe(modelId)
    expect((await readModelSpec(folder, { name: 'm', recipe: 'other' })).modelId).not.toBe(modelId)
    await write('1_Pooling/config.json', { pooling_mode_cls_token: true })
    expect((await readModelSpec(folder, { name: 'm' })).modelId).not.toBe(modelId)
  })

  it('decide the id by all that decides a vector: limit, padding and what the tokenizer is told', async () => {
    const ids = new Set([(await readModelSpec(folder, { name: 'm' })).modelId])
    await write('tokenizer_config.json', { model_max_length: 128 })
    ids.add((await readModelSpec(folder, { name: 'm' })).modelId)
    await write('tokenizer_config.json', { model_max_length: 128, do_lower_case: false })
    ids.add((await readModelSpec(folder, { name: 'm' })).modelId)
    for (const more of [{ max_position_embeddings: 64 }, { max_position_embeddings: 64, pad_token_id: 1 }]) {
      await write('config.json', { hidden_size: 384, ...more })
      ids.add((await readModelSpec(folder, { name: 'm' })).modelId)
    }
    expect(ids.size).toBe(5)
  })

  it('say where pooling is described, and are refused where it is not there', async () => {
    await write('modules.json', [
      { type: 'a.Transformer', path: '' },
      { type: 'a.Pooling', path: '2_Pool' },
    ])
    await expect(readModelSpec(folder)).rejects.toThrow(/has no 2_Pool\/config.json, which its modules.json names/u)
    await mkdir(join(folder, '2_Pool'))
    await write('2_Pool/config.json', { pooling_mode: 'cls' })
    expect(await readModelSpec(folder)).toMatchObject({ pooling: 'cls', poolingNamed: true })
  })

  it('that say nothing of pooling are read as its mean, which can be seen', async () => {
    await rm(join(folder, 'modules.json'))
    await rm(join(folder, '1_Pooling'), { recursive: true })
    expect(await readModelSpec(folder)).toMatchObject({ pooling: 'mean', normalize: true, poolingNamed: false })
  })

  it.each([
    [{ query: 'q: ', document: 'd: ' }, 'query', ['d: ', 'q: ']],
    [{ query: 'q: ', passage: 'p: ' }, null, ['p: ', 'q: ']],
    [{ corpus: 'c: ', other: 'o: ' }, 'other', ['c: ', 'o: ']],
    [{ other: 'o: ' }, 'other', ['o: ', 'o: ']],
    [{ other: 'o: ' }, null, ['', '']],
  ])('say prefixes as sentence-transformers reads them: %j, by default %j', async (prompts, name, expected) => {
    await write('config_sentence_transformers.json', { prompts, default_prompt_name: name })
    const { documentPrefix, queryPrefix } = await readModelSpec(folder)
    expect([documentPrefix, queryPrefix]).toEqual(expected)
  })

  it('say pooling as sentence-transformers 6 writes it too', async () => {
    const poolingOf = async (config: unknown) => {
      await write('1_Pooling/config.json', config)
      return (await readModelSpec(folder)).pooling
    }
    const rest = { embedding_dimension: 384, include_prompt: true }
    expect(await poolingOf({ ...rest, pooling_mode: 'mean' })).toBe('mean')
    expect(await poolingOf({ ...rest, pooling_mode: 'cls' })).toBe('cls')
    expect(await poolingOf({ ...rest, pooling_mode: ['lasttoken'] })).toBe('last')
  })

  it('may leave prompts out of pooling where there are none, and are refused where there is one', async () => {
    await write('1_Pooling/config.json', { pooling_mode: 'mean', include_prompt: false })
    expect((await readModelSpec(folder)).pooling).toBe('mean')
    await write('config_sentence_transformers.json', { prompts: { query: 'Represent the query: ' } })
    await expect(readModelSpec(folder)).rejects.toThrow(/leaves its prompts out of pooling/u)
  })

  it('count and hash weights that lie in files of their own', async () => {
    const { modelId, weightBytes } = await readModelSpec(folder)
    await writeFile(join(folder, 'model.onnx_data'), 'x'.repeat(1000))
    await writeFile(join(folder, 'model.onnx_data_1'), 'y'.repeat(1000))
    const split = await readModelSpec(folder)
    expect(split.weightBytes).toBe(weightBytes + 2000)
    expect(split.modelId).not.toBe(modelId)
    await writeFile(join(folder, 'model.onnx_data_1'), 'z'.repeat(1000))
    expect((await readModelSpec(folder)).modelId).not.toBe(split.modelId)
  })

  it.each([
    ['config.json', undefined, /has no config.json/u],
    ['tokenizer.json', undefined, /has no tokenizer.json/u],
    ['model.onnx', undefined, /has no ONNX file: looked for model_int8.onnx/u],
    ['config.json', { model_type: 'resnet' }, /names no hidden_size/u],
    ['modules.json', [{ type: 'a.Transformer' }, { type: 'a.Dense' }], /modules.json has Dense/u],
    ['1_Pooling/config.json', { pooling_mode_weightedmean_tokens: true }, /sets pooling_mode_weightedmean_tokens/u],
    ['1_Pooling/config.json', { pooling_mode: ['mean', 'cls'] }, /sets mean, cls: expected one of/u],
    ['1_Pooling/config.json', undefined, /has no 1_Pooling\/config.json, which its modules.json names/u],
    ['config_sentence_transformers.json', { prompts: { document: 5 } }, /has a prompt that is no text: 5/u],
    ['tokenizer.json', { model: { type: 'Letters' } }, /tokenizer.json is none that fits: /u],
    ['config.json', { hidden_size: 768 }, /gives vectors of 384 dimensions, config.json says 768/u],
  ])('are refused with the reason: %s as %j', async (file, content, reason) => {
    if (content === undefined) await rm(join(folder, file))
    else await write(file, content)
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toThrow(reason)
  })

  it('are refused when the ONNX file is broken', async () => {
    await rm(join(folder, 'model.onnx'))
    await writeFile(join(folder, 'model.onnx'), 'no model')
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toThrow(/model.onnx/u)
  })
})
