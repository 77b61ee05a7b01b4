import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeByHand, writeTinyTextModel } from '../testing.ts'
import { openTextGenerator, type TextGenerator } from './text-generator.ts'

describe('a local language model', () => {
  let folder: string
  let generator: TextGenerator
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tagloom-llm-'))
    await writeTinyTextModel(folder)
    generator = await openTextGenerator({ model: folder, threads: 1, queueLimit: 2 })
  })
  afterAll(async () => {
    await generator.close()
    await rm(folder, { recursive: true, force: true })
  })
  const ask = (content: string) => [{ role: 'user' as const, content }]

  it.each(['sourdough bread yeast', 'oven steam crust score', 'json page tag topic rye', 'water salt'])(
    'decodes with its cache what the same model decodes without: %s',
    async (words) => {
      const expected = decodeByHand(['user', ...words.split(' '), 'assistant'], 16)
      const { text, completionTokens, promptTokens } = await generator.generate(ask(words), { maxTokens: 16 })
      expect(text.split(' ').filter((word) => word !== '')).toEqual(expected)
      expect(promptTokens).toBe(words.split(' ').length + 2)
      expect(completionTokens).toBeGreaterThanOrEqual(expected.length)
    },
  )

  it('answers the same prompt the same way, and stops at the limit', async () => {
    const once = await generator.generate(ask('loaf rise dough'), { maxTokens: 2 })
    expect(await generator.generate(ask('loaf rise dough'), { maxTokens: 2 })).toEqual(once)
    expect(once.completionTokens).toBeLessThanOrEqual(2)
  })

  it('refuses a prompt that is longer than it takes, and goes on with the next', async () => {
    const long = ask('bread '.repeat(3000))
    await expect(generator.generate(long, { maxTokens: 5 })).rejects.toThrow(
      /prompt has 3002 tokens, the model takes 2048/u,
    )
    expect((await generator.generate(ask('rye'), { maxTokens: 3 })).promptTokens).toBe(3)
  })

  it('keeps room for the answer, a quarter of what it takes at most, and says how long a prompt may be', async () => {
    const long = ask('bread '.repeat(1998))
    await expect(generator.generate(long, { maxTokens: 400 })).rejects.toMatchObject({
      name: 'PromptTooLong',
      promptTokens: 2000,
      mostTokens: 1648,
    })
    await expect(generator.generate(long, { maxTokens: 4000 })).rejects.toMatchObject({ mostTokens: 1536 })
    expect((await generator.generate(long, { maxTokens: 2 })).promptTokens).toBe(2000)
  })

  it('stops when it is told to, and refuses more than may wait', async () => {
    const given = new AbortController()
    const work = generator.generate(ask('bake'), { maxTokens: 60, signal: given.signal })
    const waiting = [generator.generate(ask('rye'), { maxTokens: 1 }), generator.generate(ask('rye'), { maxTokens: 1 })]
    await expect(generator.generate(ask('rye'), { maxTokens: 1 })).rejects.toThrow('2 requests wait')
    given.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
    expect(await Promise.all(waiting)).toHaveLength(2)
  })

  it('is refused with the reason when it has no ONNX file or does not open', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'tagloom-llm-'))
    await expect(openTextGenerator({ model: empty })).rejects.toThrow(
      /has no ONNX text model: looked for onnx\/model_q4/u,
    )
    await writeTinyTextModel(empty)
    await writeFile(join(empty, 'onnx/model.onnx'), 'no model')
    await expect(openTextGenerator({ model: empty })).rejects.toThrow(/does not open/u)
    await rm(empty, { recursive: true, force: true })
  })
})
