import { describe, expect, it } from 'vitest'
import { normalizeInPlace, poolTokens } from './pooling.ts'

const hidden = Float32Array.from([9, 9, 1, 2, 3, 4, 5, -6, 7, 7])

function pooled(pooling: 'mean' | 'cls' | 'last' | 'max'): number[] {
  const out = new Float64Array(2)
  poolTokens(hidden, 2, 3, pooling, out)
  return [...out]
}

describe('pooling', () => {
  it('reads only the tokens of its text', () => {
    expect(pooled('mean')).toEqual([3, 0])
    expect(pooled('cls')).toEqual([1, 2])
    expect(pooled('last')).toEqual([5, -6])
    expect(pooled('max')).toEqual([5, 4])
  })

  it('makes unit vectors, and zeros of nothing', () => {
    const vector = Float64Array.of(3, 4)
    normalizeInPlace(vector)
    expect(vector[0]).toBeCloseTo(0.6, 12)
    expect(vector[1]).toBeCloseTo(0.8, 12)
    const nothing = new Float64Array(2)
    normalizeInPlace(nothing)
    expect([...nothing]).toEqual([0, 0])
  })
})
