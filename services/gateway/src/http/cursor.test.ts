import { describe, expect, it } from 'vitest'
import { decodeCursor, toList } from './cursor.ts'

const made = (...position: (string | number)[]): string =>
  toList([position, position], 1, (row) => row, String).next_cursor as string
const encoded = (json: string) => Buffer.from(json).toString('base64url')

describe('a cursor', () => {
  it('gives back the position that it was made of', () => {
    expect(decodeCursor(made(7), 'id')).toEqual([7])
    expect(decodeCursor(made(1_764_000_000_123.5, 'job'), 'time', 'text')).toEqual([1_764_000_000_123.5, 'job'])
    expect(decodeCursor(made(-1e300, ''), 'number', 'text')).toEqual([-1e300, ''])
    expect(decodeCursor(undefined, 'id')).toBeUndefined()
  })

  it.each([
    ['no base64', 'id', '%'],
    ['no JSON', 'id', encoded('[1')],
    ['no array', 'id', encoded('{"0":1}')],
    ['too long', 'id', encoded('[1,2]')],
    ['a fraction', 'id', encoded('[1.5]')],
    ['negative', 'id', encoded('[-1]')],
    ['beyond what a double counts', 'id', encoded('[9e18]')],
    ['beyond int4', 'int4', encoded('[2147483648]')],
    ['no Date', 'time', encoded('[1e300]')],
    ['no number', 'number', encoded('["1"]')],
    ['infinite', 'number', encoded('[1e400]')],
    ['no text', 'text', encoded('[1]')],
    ['text with U+0000', 'text', encoded('["a\\u0000"]')],
  ] as const)('that is %s where %s is expected is refused', (_what, kind, cursor) => {
    expect(() => decodeCursor(cursor, kind)).toThrow(expect.objectContaining({ code: 'invalid_cursor' }))
  })
})
