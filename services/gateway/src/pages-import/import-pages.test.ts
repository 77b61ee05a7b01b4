import type { PageToStore } from '@tagloom/database'
import { describe, expect, it } from 'vitest'
import { type ImportTarget, importPages } from './import-pages.ts'
import { maxLineBytes, type ReadPage, readPage } from './read-page.ts'

const read = (line: string | Buffer) => readPage({ no: 3, bytes: Buffer.from(line as string) })
const line = (more: object) => JSON.stringify({ id: 'a', title: 't', text: 'x', ...more })

describe('a line', () => {
  it('gives a page', () => {
    expect(read(line({ id: 7, tags: [' one ', ' '], label: 'gold', other: 1 }))).toEqual({
      page: { externalId: '7', title: 't', text: 'x', tags: ['one'], goldLabel: 'gold' },
      repaired: false,
    })
  })

  it('loses characters that no database text can hold', () => {
    expect(read(line({ text: 'a\0b', title: '\ud800' }))).toMatchObject({
      page: { text: 'ab', title: '\ufffd' },
      repaired: true,
    })
  })

  it.each([
    ['{"id":', 'invalid_json', /not JSON/],
    ['[]', 'invalid_page', /object/],
    [line({ text: undefined }), 'invalid_page', /text/],
    [line({ title: 5 }), 'invalid_page', /\/title must be string/],
    [line({ tags: [''] }), 'invalid_page', /\/tags\/0/],
    [line({ id: '\0' }), 'invalid_page', /\/id is empty/],
    [Buffer.from([0x7b, 0xff, 0x7d]), 'invalid_utf8', /not UTF-8/],
  ])('such as %s is rejected with its number and the reason', (bad, code, reason) => {
    expect(read(bad)).toMatchObject({ error: { line: 3, code, reason: expect.stringMatching(reason) } })
  })

  it('that is too long is rejected with its length', () => {
    expect(readPage({ no: 2, tooLong: 99_000_000 })).toMatchObject({
      error: {
        line: 2,
        code: 'line_too_long',
        reason: expect.stringContaining(`99000000 bytes, expected ${maxLineBytes}`),
      },
    })
  })

  it('is not repeated in the reason', () => {
    expect(JSON.stringify(read('{"id":1,"text":"secret words'))).not.toContain('secret')
  })
})

describe('an import', () => {
  const page = (id: string): ReadPage => ({
    page: { externalId: id, title: '', text: '', goldLabel: null, tags: undefined },
    repaired: false,
  })
  const bad: ReadPage = { error: { line: 1, code: 'invalid_json', reason: 'r' } }
  async function* stream(...pages: ReadPage[]): AsyncGenerator<ReadPage> {
    yield* pages
  }
  const target = (more: Partial<ImportTarget> = {}): ImportTarget & { chunks: string[][] } => {
    const chunks: string[][] = []
    return {
      chunks,
      batchSize: 2,
      async store(pages: readonly PageToStore[]) {
        chunks.push(pages.map((p) => p.externalId))
        return { created: pages.length, updated: 0, unchanged: 0, pageIds: [], tagsChanged: false }
      },
      ...more,
    }
  }

  it('stores in chunks, and never two pages of one id in the same', async () => {
    const to = target({ batchSize: 3 })
    const report = await importPages(stream(page('a'), page('b'), page('a'), page('c'), page('d'), page('e')), to)
    expect(to.chunks).toEqual([['a', 'b'], ['a', 'c', 'd'], ['e']])
    expect(report).toMatchObject({ received: 6, created: 6, rejected: 0 })
  })

  it('reads nothing while it stores', async () => {
    let readSoFar = 0
    async function* counted() {
      for (let i = 0; i < 100; i++) {
        readSoFar++
        yield page(`${i}`)
      }
    }
    const ahead: number[] = []
    const to = target({ batchSize: 10 })
    const store = to.store
    await importPages(counted(), {
      ...to,
      async store(pages) {
        const before = readSoFar
        await new Promise((resolve) => setImmediate(resolve))
        ahead.push(readSoFar - before)
        return store(pages)
      },
    })
    expect(ahead).toEqual(Array(10).fill(0))
  })

  it('counts every rejected line and names the first thousand', async () => {
    const report = await importPages(stream(...Array<ReadPage>(1500).fill(bad), page('a')), target())
    expect(report).toMatchObject({ received: 1501, rejected: 1500, created: 1 })
    expect(report.errors).toHaveLength(1000)
  })

  it('that replaces deletes the others, but not after a bad line or an empty body', async () => {
    const to = target({ deleteOthers: async () => 5 })
    expect((await importPages(stream(page('a')), to)).deleted).toBe(5)
    expect(await importPages(stream(page('a'), bad), to)).toMatchObject({
      deleted: 0,
      replace_skipped: expect.stringContaining('1 lines were rejected'),
    })
    expect(await importPages(stream(), to)).toMatchObject({ deleted: 0, replace_skipped: expect.any(String) })
  })
})
