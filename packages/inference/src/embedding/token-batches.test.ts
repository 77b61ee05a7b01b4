import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planTokenBatches } from './token-batches.ts'

describe('token batches', () => {
  it('hold every text once, within the budget, padded to their longest', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 200 }), fc.nat(2000), (lengths, budget) => {
        const batches = planTokenBatches(lengths, budget)
        expect(batches.flatMap((b) => b.rows).sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i))
        for (const { rows, tokens } of batches) {
          expect(tokens).toBe(Math.max(...rows.map((r) => lengths[r]!)))
          expect(rows.length === 1 || rows.length * tokens <= budget).toBe(true)
        }
      }),
    )
  })

  it('put each text alone when the budget is zero', () => {
    expect(planTokenBatches([5, 5, 2], 0)).toHaveLength(3)
  })
})
