import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProblemError } from '../http/problem.ts'
import { splitArray } from './split-array.ts'
import { type RawItem, splitLines } from './split-lines.ts'

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
}
async function collect(items: AsyncIterable<RawItem>): Promise<[number, string][]> {
  const all: [number, string][] = []
  for await (const item of items) all.push([item.no, text(item)])
  return all
}
const text = (item: RawItem) => ('bytes' in item ? item.bytes.toString() : `${item.tooLong} bytes`)
const lines = (body: string, size = 7, max = 100) => collect(splitLines(cut(Buffer.from(body), size), max))
const elements = (body: string, size = 7, max = 100) => collect(splitArray(cut(Buffer.from(body), size), max))

describe('lines', () => {
  it('are numbered as in the file, blank ones left out', async () => {
    expect(await lines('one\n\n \r\ntwo\r\nthree')).toEqual([
      [1, 'one'],
      [4, 'two\r'],
      [5, 'three'],
    ])
  })

  it('that are too long are passed over and the next is whole', async () => {
    expect(await lines(`a\n${'x'.repeat(500)}\nb\n`)).toEqual([
      [1, 'a'],
      [2, '500 bytes'],
      [3, 'b'],
    ])
  })

  it('of an empty body are none', async () => {
    expect(await lines('')).toEqual([])
    expect(await lines('\n\n')).toEqual([])
  })

  it('are the same however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary' })), fc.integer({ min: 1, max: 9 }), async (parts, size) => {
        const whole = parts.map((part) => JSON.stringify(part))
        expect((await lines(whole.join('\n'), size, 10_000)).map(([, line]) => line)).toEqual(whole)
      }),
    )
  })
})

describe('array elements', () => {
  it('are cut at their commas only', async () => {
    expect(await elements('\uFEFF [ {"a":"],[\\"}"} ,\n[1,[2]], "x,y", 3 ] \n')).toEqual([
      [1, ' {"a":"],[\\"}"} '],
      [2, '\n[1,[2]]'],
      [3, ' "x,y"'],
      [4, ' 3 '],
    ])
    expect(await elements('[]')).toEqual([])
  })

  it('are those of JSON.parse however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), fc.integer({ min: 1, max: 9 }), async (values, size) => {
        const found = await elements(JSON.stringify(values, null, 1), size, 100_000)
        expect(found.map(([, element]) => JSON.parse(element))).toEqual(JSON.parse(JSON.stringify(values)))
      }),
    )
  })

  it.each(['{"id":1}', '[1', '["a', '[1] [2]', 'x', '  '])('of %s are refused', async (body) => {
    await expect(elements(body)).rejects.toThrow(ProblemError)
  })
})
