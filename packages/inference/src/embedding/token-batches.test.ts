import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planTokenBatches } from './token-batches.ts'

const SHARING = ['alone', 'equal', 'padded'] as const

describe('token batches', () => {
  it('hold every text once, within the budget, at the length of their longest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 200 }),
        fc.nat(2000),
        fc.constantFrom(...SHARING),
        (lengths, budget, sharing) => {
          const batches = planTokenBatches(lengths, budget, sharing)
          expect(batches.flatMap((b) => b.rows).sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i))
          for (const { rows, tokens } of batches) {
            expect(tokens).toBe(Math.max(...rows.map((r) => lengths[r]!)))
            expect(rows.length === 1 || rows.length * tokens <= budget).toBe(true)
            if (sharing === 'equal') expect(rows.every((r) => lengths[r] === tokens)).toBe(true)
            if (sharing === 'alone') expect(rows).toHaveLength(1)
          }
        },
      ),
    )
  })

  it('are as full as the budget and the sharing let them be', () => {
    const rows = (sharing: (typeof SHARING)[number]) =>
      planTokenBatches([5, 5, 2, 5, 5], 15, sharing).map((batch) => batch.rows)
    expect(rows('alone')).toEqual([[2], [0], [1], [3], [4]])
    expect(rows('equal')).toEqual([[2], [0, 1, 3], [4]])
    expect(rows('padded')).toEqual([
      [2, 0, 1],
      [3, 4],
    ])
  })
})
