import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeClippingEncoder, writeSilentEncoder, writeTinyEncoder } from '../testing.ts'
import { type Embedder, openEmbedder } from './embedder.ts'

const MODEL = new URL('../../../../models/all-MiniLM-L6-v2', import.meta.url).pathname
const topics = ['the history of printing', 'gas costs of storage opcodes', 'sourdough bread', 'sailing knots']
const page = (k: number) => ({
  title: `${topics[k % 4]} ${k}`,
  text: `## Part ${k}\n${`Some words about ${topics[k % 4]}, number ${k}. `.repeat(1 + ((k * 7) % 35))}`,
})
const pages = Array.from({ length: 48 }, (_, k) => page(k))

describe('the embedder with the bundled model', () => {
  let embedder: Embedder
  beforeAll(async () => {
    embedder = await openEmbedder({ model: MODEL, threads: 2 })
  })
  afterAll(() => embedder.close())

  const cosine = (vectors: Float32Array, a: number, b: number) => {
    let sum = 0
    for (let d = 0; d < embedder.dims; d++) sum += vectors[a * embedder.dims + d]! * vectors[b * embedder.dims + d]!
    return sum
  }

  it('knows itself by name and content', () => {
    expect(embedder.modelId).toMatch(/^all-MiniLM-L6-v2@[0-9a-f]{12}$/u)
    expect([embedder.dims, embedder.maxTokens, embedder.device]).toEqual([384, 256, 'cpu'])
    expect(embedder.clippedCosine).toBeUndefined()
  })

  it('puts texts that mean the same near to each other', async () => {
    const vectors = await embedder.embed(['How do I bake bread?', 'Baking a loaf', 'Interest rates rise'])
    expect(cosine(vectors, 0, 0)).toBeCloseTo(1, 5)
    expect(cosine(vectors, 0, 1)).toBeGreaterThan(cosine(vectors, 0, 2) + 0.2)
  })

  it('gives zeros for texts of a script that the model has no words for, which would else all be the same', async () => {
    const vectors = await embedder.embed([
      'อาหาร',
      'ประเทศไทย',
      '🚀',
      'ไทย printing',
      'the history of printing 🚀',
      'база данных',
    ])
    const zero = (row: number) => vectors.subarray(row * 384, (row + 1) * 384).every((value) => value === 0)
    expect([0, 1, 2, 3, 4, 5].map(zero)).toEqual([true, true, true, true, false, false])
  })

  it('gives a page the same bits in any batch, order and number of threads', async () => {
    const all = await embedder.embedPages(pages)
    const other = await openEmbedder({ model: MODEL, threads: 1 })
    const reversed = await other.embedPages(pages.toReversed().slice(0, 20))
    const alone = await other.embedPages([pages[31]!])
    await other.close()
    const row = (vectors: Float32Array, k: number) => vectors.slice(k * 384, (k + 1) * 384)
    for (let k = 0; k < 20; k++) expect(row(reversed.vectors, k)).toEqual(row(all.vectors, 47 - k))
    expect(row(alone.vectors, 0)).toEqual(row(all.vectors, 31))
    expect(alone.tokens[0]).toBe(all.tokens[31])
  })

  it('counts pages, windows, tokens and padding', async () => {
    const { stats, tokens } = await embedder.embedPages(pages)
    expect(stats.pages).toBe(48)
    expect(stats.windows).toBeGreaterThan(48)
    expect(stats.tokens).toBe(tokens.reduce((a, b) => a + b, 0))
    expect(stats.paddedTokens).toBeGreaterThanOrEqual(stats.tokens)
    expect(stats.paddingWaste).toBeCloseTo(1 - stats.tokens / stats.paddedTokens, 10)
    expect(embedder.stats().pages).toBeGreaterThanOrEqual(48)
  })

  it('answers pages with no text, bad UTF-8, five megabytes and other scripts within bounds', async () => {
    const odd = [
      { title: '', text: '' },
      { title: 'Only a title', text: '' },
      { title: '', text: '\ud800 broken \udfff pair \u0000 nul \ufffd' },
      { title: 'Huge', text: 'All work and no play. '.repeat(240_000) },
      { title: 'One word', text: 'x'.repeat(1_000_000) },
      { title: '印刷術', text: '印刷術是歷史上最重要的發明之一。'.repeat(300) },
      { title: 'تاريخ', text: 'تاريخ الطباعة طويل. '.repeat(300) },
      { title: '😀', text: '😀'.repeat(5000) },
    ]
    const { vectors, tokens } = await embedder.embedPages(odd)
    expect(vectors.every(Number.isFinite)).toBe(true)
    expect(vectors.subarray(0, 384).every((v) => v === 0)).toBe(true)
    expect(tokens[0]).toBe(0)
    for (let k = 1; k < odd.length; k++) {
      expect(cosine(vectors, k, k)).toBeCloseTo(1, 5)
      expect(tokens[k]).toBeLessThanOrEqual(256 * 5)
    }
  })

  it('has no vector for a page of which the tokenizer leaves nothing', async () => {
    const odd = ['\u200b\u200b\u2060', '\u0000\u0001', '\u200e\u200f'].map((text) => ({ title: '', text }))
    const { vectors, tokens, stats } = await embedder.embedPages([...odd, pages[0]!])
    expect([...tokens.subarray(0, 3)]).toEqual([0, 0, 0])
    expect(vectors.subarray(0, 3 * 384).every((value) => value === 0)).toBe(true)
    expect(stats.tokens).toBe(tokens[3])
  })

  it('takes little of the thread that calls it', async () => {
    let worstMs = 0
    let last = process.threadCpuUsage()
    const timer = setInterval(() => {
      const since = process.threadCpuUsage(last)
      worstMs = Math.max(worstMs, (since.user + since.system) / 1000)
      last = process.threadCpuUsage()
    }, 1)
    await embedder.embedPages(pages)
    clearInterval(timer)
    expect(worstMs).toBeLessThan(100)
  })

  it('falls back to the CPU with the reason where there is no CUDA', async () => {
    const wished = await openEmbedder({ model: MODEL, threads: 1, device: 'cuda' })
    const text = await wished.embed(['a'])
    const { device, warnings } = wished
    await wished.close()
    if (device === 'cpu') expect(warnings[0]).toMatch(/CUDA is not used, the CPU is: .+/u)
    expect(text).toHaveLength(384)
  })

  it('gives up at once when it is told to, and goes on with other work', async () => {
    const given = new AbortController()
    const work = embedder.embedPages(pages, given.signal)
    const labels = embedder.embed(
      pages.map(({ title }) => title),
      'document',
      given.signal,
    )
    given.abort(new Error('cancelled'))
    await expect(work).rejects.toThrow('cancelled')
    await expect(labels).rejects.toThrow('cancelled')
    expect((await embedder.embedPages(pages.slice(0, 2))).stats.pages).toBe(2)
  })

  it('refuses work once closed', async () => {
    const closed = await openEmbedder({ model: MODEL, threads: 1 })
    await closed.close()
    await expect(closed.embed(['a'])).rejects.toThrow('embedder is closed')
  })
})

describe('the embedder with a model whose arithmetic depends on the batch', () => {
  it('gives a text the same bits in any company all the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tagloom-encoder-'))
    await writeTinyEncoder(folder)
    const tiny = await openEmbedder({ model: folder, threads: 1 })
    try {
      const texts = ['bread oven', 'topic page', 'salt water', 'rise', 'rye wheat crumb']
      const together = await tiny.embed(texts)
      for (const [k, text] of texts.entries()) {
        expect(await tiny.embed([text])).toEqual(together.slice(k * tiny.dims, (k + 1) * tiny.dims))
      }
      expect(tiny.stats().paddingWaste).toBe(0)
    } finally {
      await tiny.close()
      await rm(folder, { recursive: true })
    }
  })
})

describe('the embedder with a model whose products clip where two are added in 16 bits', () => {
  /** The others are not known from here: there it is only the vectors that count. */
  const adds16Bits =
    process.arch === 'x64' && existsSync('/proc/cpuinfo') && !readFileSync('/proc/cpuinfo', 'utf8').includes('vnni')

  it('gives the vectors of exact products on every processor, and says where it had to see to that', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tagloom-encoder-'))
    await writeClippingEncoder(folder)
    const [seen, told] = await Promise.all([
      openEmbedder({ model: folder, threads: 2 }),
      openEmbedder({ model: folder, threads: 2, productsFit: true }),
    ])
    try {
      const share = async (embedder: Embedder) => {
        const vector = await embedder.embed(['bread yeast flour'])
        return vector[4]! / vector[0]!
      }
      expect(await share(seen)).toBeCloseTo(0.091, 3)
      expect(told.clippedCosine).toBeUndefined()
      if (!adds16Bits) return
      expect(await share(told)).toBeCloseTo(0, 3)
      expect(seen.clippedCosine).toBeLessThan(0.999)
    } finally {
      await Promise.all([seen.close(), told.close()])
      await rm(folder, { recursive: true })
    }
  })
})

describe('the embedder with a model that does not say how wide its vectors are', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tagloom-encoder-'))
    await writeSilentEncoder(folder)
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('makes no vector of numbers that are none, and goes on; a text of no token has no length', async () => {
    const odd = await openEmbedder({ model: folder, threads: 1 })
    try {
      await expect(odd.embed(['bread salt'])).rejects.toThrow(/gives vectors that are no finite numbers/u)
      await expect(odd.embedPages([{ title: 'salt', text: '' }])).rejects.toThrow(/no finite numbers/u)
      const [bread, nothing] = [await odd.embed(['bread']), await odd.embed(['bread', ''])]
      expect(Math.hypot(...bread)).toBeCloseTo(1, 6)
      expect(nothing).toEqual(Float32Array.of(...bread, ...new Float32Array(odd.dims)))
    } finally {
      await odd.close()
    }
  })

  it('refuses it where they are not what its config says', async () => {
    await writeFile(join(folder, 'config.json'), JSON.stringify({ hidden_size: 4 }))
    await expect(openEmbedder({ model: folder, threads: 1 })).rejects.toThrow(
      /gives last_hidden_state of shape 3 × \d+ × 8, expected 3 × \d+ × 4: is 4 its hidden_size\?/u,
    )
  })
})
